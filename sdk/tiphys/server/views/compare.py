"""Two runs side by side: what they were made from and given, and what differs in what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from tiphys.pages.html import duration, number, size
from tiphys.records.record import SAMPLED
from tiphys.server.views.parts import Cell, Grid, Part, link

if TYPE_CHECKING:
    from tiphys.records.diff import RunDifference, RunDifferences

__all__ = ["difference_parts"]

_MOST = 500
_NOTES = {
    "made from": "Code, lock file, commit and environment that the runs say they were made from.",
    "data": "What came from outside, by its digest where one is known.",
    "outcome": "Phases; a dash: the run has no such step.",
    "times": "Steps that took another time.",
}


def difference_parts(left: str, right: str, found: RunDifferences) -> list[Part]:
    """A part for each kind of difference, in the order in which one asks why. What was looked at, and not told (memory,
    CPU), is folded away: it is never the same."""
    parts = []
    for part, inside in groupby(found, key=lambda each: each.part):
        each = list(inside)
        seen = [one for one in each if part == "metrics" and one.name.rpartition(": ")[2] in SAMPLED]
        told = [one for one in each if one not in seen]
        title = f"{part[:1].upper()}{part[1:]}"
        grids = [_grid(f"{title} that differ", left, right, told, part)] if told else []
        if seen:
            grids.append(_grid("Memory and CPU that differ", left, right, seen, part, folded=True))
        notes = [_NOTES[part]] if part in _NOTES else []
        if len(each) > _MOST:
            notes.append(f"{len(each):,} differ; the first {_MOST} are shown.")
        parts.append(Part(title, notes, (), (), grids))
    return parts or [
        Part("Nothing differs", [f"{left} and {right} were given the same, and the same came of it."])
    ]


def _grid(
    caption: str, left: str, right: str, found: Sequence[RunDifference], part: str, *, folded: bool = False
) -> Grid:
    numbers = frozenset((1, 2, 3)) if part in ("metrics", "times") else frozenset[int]()
    head = ["what", left, right] + (["change"] if numbers else [])
    return Grid(caption, head, [_row(one, part) for one in found[:_MOST]], numbers, folded)


def _row(one: RunDifference, part: str) -> list[Cell]:
    cells = [Cell(one.name or "the run"), *(_cell(value, part, one.name) for value in (one.left, one.right))]
    if part in ("metrics", "times"):
        cells.append(Cell(_change(one.left, one.right)))
    return cells


def _cell(value: str | float | None, part: str, name: str) -> Cell:
    if value is None:
        return Cell("–")
    if isinstance(value, float):
        return Cell(
            duration(value) if part == "times" else size(value) if "memory" in name else number(value)
        )
    is_thing = "://" in value or value.startswith("sha256:")
    return Cell(
        value, link("lineage", of=value) if is_thing and part == "data" else "", code=part != "outcome"
    )


def _change(left: str | float | None, right: str | float | None) -> str:
    if not isinstance(left, float) or not isinstance(right, float) or not left:
        return ""
    return f"{(right - left) / abs(left):+.1%}"
