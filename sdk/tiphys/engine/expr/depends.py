"""The grammar of ``depends``: task names and ``Task.Result`` joined with ``&& || ! ( )``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from tiphys.engine.expr.evaluate import ExprError, compile_expression

__all__ = ["RESULTS", "Depends", "parse_depends"]

RESULTS = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed")
_TASK = re.compile(r"([0-9a-zA-Z_-]+(?:\.[A-Za-z]+)?)")


class Depends:
    """A parsed ``depends``.

    Attributes
    ----------
    tasks:
        The tasks it names, in order of appearance.
    groups:
        The tasks of which ``AnySucceeded`` or ``AllFailed`` is asked.
    """

    __slots__ = ("_program", "groups", "logic", "tasks")

    def __init__(self, tasks: tuple[str, ...], groups: frozenset[str], logic: str) -> None:
        self.tasks = tasks
        self.groups = groups
        self.logic = logic
        self._program = compile_expression(logic)

    def holds(self, results: Mapping[str, Mapping[str, bool]]) -> bool:
        """Evaluate over task -> result -> bool.

        Raises
        ------
        ExprError
            The logic does not yield a boolean.
        """
        env: dict[str, Any] = {escape(task): values for task, values in results.items()}
        value = self._program.run(env)
        if not isinstance(value, bool):
            raise ExprError(f"expected boolean result from {self.logic}")
        return value


def escape(name: str) -> str:
    """Return a task name as an identifier: dashes become underscores, and a leading digit is made legal."""
    return "t_" + name.replace("-", "_d_")


@lru_cache(maxsize=4096)
def _split(text: str) -> tuple[tuple[str, str | None], ...]:
    return tuple((match.group(1), None) for match in _TASK.finditer(text))


def parse_depends(text: str, continues_on: Callable[[str], tuple[bool, bool]]) -> Depends:
    """Parse ``depends``; ``continues_on(task)`` gives that task's (error, failed) of ``continueOn``.

    Raises
    ------
    ExprError
        The text does not follow the grammar.
    """
    tasks: dict[str, None] = {}
    groups: set[str] = set()

    def expand(match: re.Match[str]) -> str:
        word = match.group(1)
        task, dot, result = word.partition(".")
        tasks[task] = None
        name = escape(task)
        if dot:
            if result not in RESULTS:
                raise ExprError(f"task result '{result}' for task '{task}' is invalid")
            if result in ("AnySucceeded", "AllFailed"):
                groups.add(task)
            return f"{name}.{result}"
        error, failed = continues_on(task)
        parts = [f"{name}.Succeeded", f"{name}.Skipped", f"{name}.Daemoned"]
        if error:
            parts.append(f"{name}.Errored")
        if failed:
            parts.append(f"{name}.Failed")
        return "(" + " || ".join(parts) + ")"

    logic = _TASK.sub(expand, text)
    return Depends(tuple(tasks), frozenset(groups), logic)
