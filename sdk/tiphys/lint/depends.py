"""The graph of DAG tasks: in what order, in what circles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiphys.expr.dependencies import dependencies

if TYPE_CHECKING:
    from tiphys.expr.dependencies import Task

__all__ = ["ancestors", "cycle", "graph", "order"]


def graph(tasks: Sequence[Task]) -> dict[str, list[str]]:
    """Return {task: the tasks it depends on}; later tasks of one name win, as in Argo."""
    return {task.get("name", ""): list(dependencies(task)) for task in tasks}


def cycle(tasks: Sequence[Task]) -> list[str]:
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


def order(tasks: Sequence[Task]) -> list[int]:
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
