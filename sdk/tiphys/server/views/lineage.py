"""What a thing came from, or what came of it, as a list in lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tiphys.records.lineage import tree
from tiphys.server.views.parts import link

if TYPE_CHECKING:
    from tiphys.records.lineage import Lineage, Thing

__all__ = ["LineageItem", "items"]

_MOST = 2000
_DEEPEST = 60  # what is deeper is shown beside its parent
_SHAPES = {
    "artifact": "▣",
    "step": "▸",
    "run": "◉",
    "code": "‹›",
    "lock": "≡",
    "git": "⎇",
    "environment": "≡",
    "report": "✓",
    "service": "⇄",
    "alias": "★",
}


@dataclass(frozen=True, slots=True)
class LineageItem:
    """A thing with what is below it. ``again``: it was shown above, with all that; ``more``: how many steps that used
    it are left out."""

    thing: Thing
    shape: str
    link: str
    again: bool
    more: int = 0
    inside: list[LineageItem] = field(default_factory=list)


def items(graph: Lineage) -> list[LineageItem]:
    """The tree: one item, its root. Of a very large one what comes first."""
    roots: list[LineageItem] = []
    above: list[list[LineageItem]] = [roots]
    for (depth, thing, again), _ in zip(tree(graph), range(_MOST), strict=False):
        depth = min(depth, _DEEPEST)
        address = ""
        if thing.kind == "run":
            address = link("runs", thing.run)
        elif thing.kind == "artifact" and thing.id != graph.root:
            address = link("lineage", of=thing.label, down="1" if graph.direction == "down" else "")
        more = 0 if again else graph.more.get(thing.id, 0)
        item = LineageItem(thing, _SHAPES.get(thing.kind, "·"), address, again, more)
        above[depth].append(item)
        above[depth + 1 :] = [item.inside]
    return roots
