"""The text of ``depends``, without a run: who is named, with what result, and whether the grammar holds.

Light: the linter reads it. What it comes to when tasks have ended is in ``depends.py``.

Source: argo-workflows v4.1.2, workflow/common/ancestry.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from tiphys.lazy import regex

__all__ = ["GROUP_RESULTS", "RESERVED", "RESULTS", "dependencies", "syntax_error", "unknown_results"]

GROUP_RESULTS = ("AnySucceeded", "AllFailed")  # of loops
RESULTS = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", *GROUP_RESULTS)
# Words of expr-lang: a task of that name cannot be depended on (each was tried in expr 1.17.8).
RESERVED = frozenset(
    [
        "and",
        "contains",
        "else",
        "endsWith",
        "false",
        "if",
        "in",
        "let",
        "matches",
        "nil",
        "not",
        "or",
        "startsWith",
        "true",
    ]
)
_NAME = regex(r"([a-zA-Z0-9][-a-zA-Z0-9]*?\.[A-Z][a-zA-Z]+)|([a-zA-Z0-9][-a-zA-Z0-9]*)")
_TOKEN = regex(r"\s*(&&|\|\||!|\(|\)|[a-zA-Z0-9][-a-zA-Z0-9]*(?:\.[A-Za-z]+)?)")

if TYPE_CHECKING:

    class Task(TypedDict, total=False):
        """What is read of a DAG's task."""

        name: str
        depends: str
        dependencies: list[str]


def dependencies(task: Task) -> dict[str, bool]:
    """Return {name of a task it depends on: whether it asks for a result that only loops have}."""
    depends = task.get("depends") or ""
    if not depends:  # Argo writes `(A.Succeeded || ...)` for each and reads that
        depends = " && ".join(f"{name}.Succeeded" for name in task.get("dependencies") or [])
    found: dict[str, bool] = {}
    for result, name in _NAME.findall(depends):
        if result:
            target, _, word = result.partition(".")
            found[target] = found.get(target, False) or word in GROUP_RESULTS
        else:
            found[name] = False
    return found


def unknown_results(task: Task) -> list[tuple[str, str]]:
    """The (task, result) pairs of ``depends`` whose result does not exist."""
    pairs = [tuple(text.split(".", 1)) for text, _ in _NAME.findall(task.get("depends") or "") if text]
    return [(name, word) for name, word in pairs if word not in RESULTS]


def syntax_error(text: str) -> str:
    """Say what is wrong with the grammar of a ``depends`` text; empty when nothing is."""
    tokens: list[str] = []
    position = 0
    while position < len(text):
        if not text[position:].strip():
            break
        match = _TOKEN.match(text, position)
        if not match:
            return f"unexpected {text[position:].strip()[0]!r}"
        tokens.append(match.group(1))
        position = match.end()
    want_operand, depth = True, 0
    for token in tokens:
        if want_operand:
            if token in ("&&", "||", ")"):
                return f"a task is missing before {token!r}"
            if token == "(":
                depth += 1
            elif token != "!":
                want_operand = False
        elif token in ("&&", "||"):
            want_operand = True
        elif token == ")":
            depth -= 1
            if depth < 0:
                return "a `)` without its `(`"
        else:
            return f"`&&` or `||` is missing before {token!r}"
    if want_operand:
        return "it ends where a task is expected"
    return "a `(` is not closed" if depth else ""
