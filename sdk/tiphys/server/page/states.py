"""How far each item of a planned graph is: the steps that came of it, in a word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tiphys.argo.nodes import BUNDLES
from tiphys.pages.html import duration, phase_class

if TYPE_CHECKING:
    from tiphys.argo.types import Node, Workflow
    from tiphys.graph import Group, PlannedGraph
    from tiphys.records.record import RunRecord, StepRecord

__all__ = ["ItemState", "item_states"]

_LOOP = re.compile(r"\(\d+(:.*)?\)\Z", re.DOTALL)
_WORST = ("bad", "run", "wait", "ok", "hit", "none")
_EXIT = "\0exit"
_WORDS = {
    "ok": "done",
    "bad": "failed",
    "run": "running",
    "wait": "waiting",
    "hit": "cached",
    "none": "left out",
}


@dataclass(slots=True)
class ItemState:
    """``css``: as :func:`tiphys.pages.html.phase_class`, empty before it begins; ``told``: in words; ``steps``: what it
    became."""

    css: str = ""
    told: str = ""
    steps: list[StepRecord] = field(default_factory=list)


def item_states(plan: PlannedGraph, workflow: Workflow, run: RunRecord) -> dict[str, ItemState]:
    """Of each item its state, by its key. A step belongs to the item whose names are those of the nodes around it; what
    a template holds inside, beyond what is drawn, to the item that is."""
    paths = {path: key for path, key in _walk(plan.main, ())}
    if plan.exit is not None:
        paths |= dict(_walk(plan.exit, (_EXIT,)))
    found = {key: ItemState() for key in paths.values()}
    alone = plan.main.items[0].key if len(plan.main.items) == 1 else ""
    nodes = (workflow.get("status") or {}).get("nodes") or {}
    for step in run.steps:
        path = _path(step.node, nodes)
        while path and path not in paths:
            path = path[:-1]
        for end in range(1, len(path) + 1):
            if (key := paths.get(path[:end])) is not None:
                found[key].steps.append(step)
        if not path and alone:
            found[alone].steps.append(step)
    for state in found.values():
        _sum_up(state)
    return found


def _walk(group: Group, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for item in group.items:
        path = (*above, item.title)
        yield path, item.key
        if item.inner is not None:
            yield from _walk(item.inner, path)


def _path(identity: str, nodes: Mapping[str, Node]) -> tuple[str, ...]:
    """The names of a node and of those around it, without the items of loops; none for the whole run."""
    found: list[str] = []
    seen: set[str] = set()
    while identity in nodes and identity not in seen:
        seen.add(identity)
        node = nodes[identity]
        around = node.get("boundaryID") or ""
        if not around:
            if str(node.get("name") or "").endswith(".onExit"):
                found.append(_EXIT)
            break
        if node.get("type") not in BUNDLES:
            found.append(_LOOP.sub("", str(node.get("displayName") or "")))
        identity = around
    return tuple(reversed(found))


def _sum_up(state: ItemState) -> None:
    classes = Counter(phase_class(step.phase, hit=step.hit) for step in state.steps)
    if not classes:
        return
    state.css = next(each for each in _WORST if each in classes)
    if len(state.steps) == 1:
        (step,) = state.steps
        word = "From the cache" if step.hit else step.phase
        tries = f" · {len(step.attempts)} attempts" if len(step.attempts) > 1 else ""
        state.told = word + (f" · {duration(step.seconds)}" if step.seconds and not step.hit else "") + tries
        return
    parts = [f"{classes[each]} {_WORDS[each]}" for each in _WORST if each in classes]
    state.told = f"×{len(state.steps)}: {', '.join(parts)}"
