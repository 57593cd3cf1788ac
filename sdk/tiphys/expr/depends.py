"""The grammar of ``depends``: task names and ``Task.Result`` joined with ``&& || ! ( )``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tiphys.expr.dependencies import GROUP_RESULTS, RESERVED, RESULTS
from tiphys.expr.evaluate import ExprError, Program, compile_expression, evaluate_bool
from tiphys.lazy import regex

__all__ = ["Depends", "parse_depends"]

_WORD = r"[0-9a-zA-Z_-]+(?:\.[A-Za-z]+)?"
_TASK = regex(f"({_WORD})")
_ONE_OF = {result: (result,) for result in RESULTS}
# what a task named alone must have ended in, by what its ``continueOn`` says of errors and failures
_UNNAMED = {
    (error, failed): ("Succeeded", "Skipped", "Daemoned", *("Errored",) * error, *("Failed",) * failed)
    for error in (False, True)
    for failed in (False, True)
}
_ALL_OF = regex(rf"\s*{_WORD}(?:\s*&&\s*{_WORD})*\s*")

_NO_GROUPS: frozenset[str] = frozenset()  # an empty one is 200 bytes, and there are many tasks


class Depends:
    """A parsed ``depends``.

    Attributes
    ----------
    tasks:
        The tasks it names, in order of appearance.
    groups:
        The tasks of which ``AnySucceeded`` or ``AllFailed`` is asked.
    logic:
        The expression that Argo makes of it.
    """

    __slots__ = ("_problem", "_program", "_wanted", "groups", "logic", "tasks")

    def __init__(
        self,
        tasks: tuple[str, ...],
        groups: frozenset[str],
        logic: str,
        wanted: tuple[tuple[str, tuple[str, ...]], ...] | None,
    ) -> None:
        self.tasks = tasks
        self.groups = groups
        self.logic = logic
        # tasks only joined with &&, as nearly always, need no program: each must have one of its results
        self._wanted = wanted
        self._program: Program | None = None
        self._problem = ""
        if wanted is None:
            try:
                self._program = compile_expression(logic)
            except ExprError as error:  # told when the task is looked at, not before
                self._problem = str(error)

    def holds(self, results: Mapping[str, Mapping[str, bool]]) -> bool:
        """Evaluate over task -> result -> bool.

        Raises
        ------
        ExprError
            It is no expression, or does not yield a boolean; the words are Argo's.
        """
        if self._problem:
            raise ExprError(f"unable to evaluate expression '{self.logic}': {self._problem}")
        if self._program is None:
            return all(any(results[task][each] for each in any_of) for task, any_of in self._wanted or ())
        env: dict[str, object] = {escape(task): values for task, values in results.items()}
        try:
            return evaluate_bool(self._program, env)
        except ExprError as error:
            raise ExprError(f"unable to evaluate expression '{self.logic}': {error}") from None


def escape(name: str) -> str:
    """Return a task name as Argo puts it into an expression."""
    return name.replace("-", "_")


def parse_depends(text: str, continues_on: Callable[[str], tuple[bool, bool]]) -> Depends:
    """Parse ``depends``; ``continues_on(task)`` gives that task's (error, failed) of ``continueOn``.

    Raises
    ------
    ExprError
        The text does not follow the grammar.
    """
    tasks: dict[str, None] = {}
    groups: set[str] = set()
    wanted: list[tuple[str, tuple[str, ...]]] = []

    def expand(match: re.Match[str]) -> str:
        word = match.group(1)
        task, dot, result = word.partition(".")
        tasks[task] = None
        name = escape(task)
        if dot:
            if result not in RESULTS:
                raise ExprError(f"task result '{result}' for task '{task}' is invalid")
            if result in GROUP_RESULTS:
                groups.add(task)
            wanted.append((task, _ONE_OF[result]))
            return f"{name}.{result}"
        error, failed = continues_on(task)
        any_of = _UNNAMED[error, failed]
        wanted.append((task, any_of))
        return "(" + " || ".join(f"{name}.{each}" for each in any_of) + ")"

    logic = _TASK.sub(expand, text)
    plain = _ALL_OF.fullmatch(text) is not None and not any(task in RESERVED for task in tasks)
    return Depends(tuple(tasks), frozenset(groups) or _NO_GROUPS, logic, tuple(wanted) if plain else None)
