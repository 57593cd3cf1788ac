"""``depends`` and ``dependencies`` of DAG tasks: who is named, how, in what order, in what circles."""

from __future__ import annotations

import re
from typing import Any

__all__ = [
    "RESULTS",
    "ancestors",
    "cycle",
    "dependencies",
    "graph",
    "order",
    "syntax_error",
    "unknown_results",
]

RESULTS = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed")
_LOOPED = ("AnySucceeded", "AllFailed")
_NAME = re.compile(r"([a-zA-Z0-9][-a-zA-Z0-9]*?\.[A-Z][a-zA-Z]+)|([a-zA-Z0-9][-a-zA-Z0-9]*)")
_TOKEN = re.compile(r"\s*(&&|\|\||!|\(|\)|[a-zA-Z0-9][-a-zA-Z0-9]*(?:\.[A-Za-z]+)?)")

Task = dict[str, Any]


def dependencies(task: Task) -> dict[str, bool]:
    """Return {name of a task it depends on: whether it asks for a result that only loops have}."""
    depends = task.get("depends") or ""
    if not depends:  # Argo writes `(A.Succeeded || ...)` for each and reads that
        depends = " && ".join(f"{name}.Succeeded" for name in task.get("dependencies") or [])
    found: dict[str, bool] = {}
    for result, name in _NAME.findall(depends):
        if result:
            target, _, word = result.partition(".")
            found[target] = found.get(target, False) or word in _LOOPED
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


def graph(tasks: list[Task]) -> dict[str, list[str]]:
    """Return {task: the tasks it depends on}; later tasks of one name win, as in Argo."""
    return {task.get("name", ""): list(dependencies(task)) for task in tasks}


def cycle(tasks: list[Task]) -> list[str]:
    """Return the names along one circle, the first repeated at the end; empty when there is none."""
    edges = graph(tasks)
    state: dict[str, int] = {}
    for root in edges:
        stack: list[tuple[str, int]] = [(root, 0)]
        trail: list[str] = []
        while stack:
            name, at = stack.pop()
            if at == 0:
                if state.get(name):
                    continue
                state[name] = 1
                trail.append(name)
            following = edges.get(name, [])
            if at < len(following):
                stack.append((name, at + 1))
                step = following[at]
                if state.get(step) == 1:
                    return [*trail[trail.index(step) :], step]
                if step in edges and not state.get(step):
                    stack.append((step, 0))
            else:
                state[name] = 2
                trail.pop()
    return []


def order(tasks: list[Task]) -> list[int]:
    """The positions of the tasks, dependencies first (the order of the text within one level)."""
    names = [task.get("name", "") for task in tasks]
    known = set(names)
    missing: list[int] = []  # of each task: how many it still waits for
    waiting: dict[str, list[int]] = {}
    for at, task in enumerate(tasks):
        needs = {name for name in dependencies(task) if name != names[at] and name in known}
        missing.append(len(needs))
        for name in needs:
            waiting.setdefault(name, []).append(at)
    result: list[int] = []
    ready = [at for at, count in enumerate(missing) if not count]
    while ready:
        result += ready
        following = []
        for name in dict.fromkeys(names[at] for at in ready):
            for at in waiting.pop(name, ()):
                missing[at] -= 1
                if not missing[at]:
                    following.append(at)
        ready = sorted(following)
    done = set(result)
    return result + [at for at in range(len(tasks)) if at not in done]  # a circle: reported elsewhere


def ancestors(name: str, edges: dict[str, list[str]]) -> set[str]:
    """All tasks that ``name`` depends on, directly or not. ``edges``: see :func:`graph`."""
    found: set[str] = set()
    left = list(edges.get(name, []))
    while left:
        step = left.pop()
        if step not in found:
            found.add(step)
            left += edges.get(step, [])
    return found
