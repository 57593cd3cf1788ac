"""Candidates: what each model has on validation and test, the bar, what was chosen, and where a model is weak."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tiphys.pages.html import duration, number
from tiphys.records.candidates import ModelReport, bar, judged
from tiphys.server.views.drawing import bars
from tiphys.server.views.parts import Cell, Grid, Part, link

if TYPE_CHECKING:
    from tiphys.records.record import RunRecord

__all__ = ["candidate_parts", "slice_grid"]

_MOST = 100  # rows of a table
_WEAK = 0.05  # so much lower than the model itself, a slice is marked


def candidate_parts(run: RunRecord) -> list[Part]:
    """One part with all candidates; none where no step said anything of a model."""
    found = judged(run)
    if not found:
        return []
    least = bar(run)
    notes = ["They are chosen by validation; the test takes no part in it."]
    if least is not None:
        notes.insert(0, f"The line is the bar: an accuracy of {number(least)} on validation.")
    warnings = (
        ["Made-up data: these figures say nothing of the real ones."]
        if any(m.synthetic for m in found)
        else []
    )
    failed = [each.name for each in found if least is not None and each.accuracy < least]
    if failed:
        warnings.append(f"Below the bar: {', '.join(failed)}.")
    rows = [(each.name, each.accuracy, _part(each.accuracy), _css(each, least)) for each in found]
    head = (
        "model",
        "validation",
        "test",
        "over the bar",
        "chosen as",
        "trained for",
        "weakest slice",
        "model's place",
    )
    grid = Grid(
        "Candidates, the best first",
        head,
        [_row(each, least) for each in found[:_MOST]],
        frozenset((1, 2, 3, 5)),
    )
    slices = [by_slice for each in found[:8] if (by_slice := slice_grid(each)) is not None]
    return [
        Part(
            "Candidates",
            notes,
            warnings,
            [bars(rows, "Accuracy on validation, by model", line=least)],
            [grid, *slices],
        )
    ]


def slice_grid(model: ModelReport) -> Grid | None:
    """The accuracy of a model by slice of the test, the lowest first."""
    if not model.slices:
        return None
    own = model.test if not math.isnan(model.test) else model.accuracy
    rows = [
        [
            Cell(f"{each.column}: {each.value}"),
            Cell(_part(each.accuracy), mark="bad" if each.accuracy < own - _WEAK else ""),
            Cell(_difference(each.accuracy, own)),
        ]
        for each in model.slices[:_MOST]
    ]
    caption = f"Accuracy of {model.name} by slice of the test, the lowest first"
    return Grid(caption, ("slice", "accuracy", "against the whole"), rows, frozenset((1, 2)), folded=True)


def _row(each: ModelReport, least: float | None) -> list[Cell]:
    over = "" if least is None or math.isnan(each.accuracy) else _difference(each.accuracy, least)
    weakest = each.slices[0] if each.slices else None
    return [
        Cell(each.name),
        Cell(_part(each.accuracy), mark=_css(each, least)),
        Cell(_part(each.test)),
        Cell(over),
        Cell(", ".join(each.chosen) or "–", mark="ok" if each.chosen else ""),
        Cell("" if math.isnan(each.seconds) else duration(each.seconds)),
        Cell(f"{weakest.value} {_part(weakest.accuracy)}" if weakest else ""),
        Cell(each.uri, link("lineage", of=each.uri) if each.uri else "", code=True),
    ]


def _css(each: ModelReport, least: float | None) -> str:
    if math.isnan(each.accuracy):
        return ""
    return "ok" if least is None or each.accuracy >= least else "bad"


def _part(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2%}"


def _difference(value: float, other: float) -> str:
    return f"{(value - other) * 100:+.2f} points"
