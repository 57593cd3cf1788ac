"""The data of a run: how many of each class there are, what is missing, whose they are, where models are weak on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.records.candidates import judged
from tiphys.records.datasets import DataSet, DataSplit, datasets
from tiphys.server.views.drawing import bars
from tiphys.server.views.judged import slice_grid
from tiphys.server.views.parts import Cell, Grid, Part, link

if TYPE_CHECKING:
    from tiphys.records.record import RunRecord, StepRecord

__all__ = ["data_parts"]

_MOST = 200
_UNEVEN = 0.5  # a class with less than this part of an even share is marked
_COUNTED = ("arrived", "expected", "missing", "rows")


def data_parts(run: RunRecord, volumes: Mapping[str, str]) -> list[Part]:
    """A part for each data set, and one with the slices of each model that was measured."""
    parts = [_part(each, run) for each in datasets(run, volumes)]
    told = [Cell(step.name) for step in run.steps if any(name in step.metrics for name in _COUNTED)]
    if not parts and told:
        parts.append(Part("Data", grids=[_counts(run.steps)]))
    grids = [grid for each in judged(run)[:12] if (grid := slice_grid(each)) is not None]
    if grids:
        lowest = [
            f"{each.name}: {each.slices[0].value} {each.slices[0].accuracy:.2%}"
            for each in judged(run)
            if each.slices
        ]
        parts.append(
            Part(
                "Slices",
                [f"The weakest slice of each model on the test: {'; '.join(lowest[:12])}."],
                (),
                (),
                grids,
            )
        )
    return parts


def _part(each: DataSet, run: RunRecord) -> Part:
    warnings = [f"Not what it was: {each.problem}"] if each.problem else []
    if each.synthetic:
        warnings.append("Made-up data: they stand in for the real ones.")
    warnings += [f"No {', '.join(split.missing)} in {split.name}." for split in each.splits if split.missing]
    license_ = each.license or "none is recorded"
    facts = [
        ("place", Cell(each.uri, link("lineage", of=each.uri), code=True)),
        ("digest", Cell(each.digest or "none is recorded", code=bool(each.digest))),
        ("made by", Cell(", ".join(each.made_by) or "it was there before")),
        ("source", Cell(each.source or "none is recorded", code=bool(each.source))),
        ("licence", Cell(license_)),
    ]
    grids = [Grid("What it is", ("what", "is"), [[Cell(name), value] for name, value in facts])]
    columns = list(dict.fromkeys(column for split in _splits(each) for column in split.columns))
    grids += [_column(each, column) for column in columns]
    grids += [grid for grid in [_counts(run.steps)] if grid.rows]
    return Part(each.name or each.uri, (), warnings, _drawn(each), grids)


def _drawn(each: DataSet) -> list[str]:
    """The classes of the largest split."""
    split = max(each.splits, key=lambda split: split.examples, default=None)
    counts = split.columns.get("label", {}) if split else {}
    if split is None or not counts:
        return []
    even = sum(counts.values()) / len(counts)
    rows = [
        (label, float(rows), f"{rows:,}", "bad" if rows < even * _UNEVEN else "hit")
        for label, rows in counts.items()
    ]
    rows += [(label, 0.0, "0", "bad") for label in split.missing if label not in counts]
    return [bars(rows, f"Examples of each class in {split.name}", most=float(max(counts.values()) or 1))]


def _column(each: DataSet, column: str) -> Grid:
    of_split = {split.name: split.columns.get(column, {}) for split in _splits(each)}
    values = list(dict.fromkeys(value for counts in of_split.values() for value in counts))
    rows = [
        [
            Cell(value),
            *(
                Cell(
                    f"{counts[value]:,}" if value in counts else "–", mark="" if counts.get(value) else "bad"
                )
                for counts in of_split.values()
            ),
        ]
        for value in values[:_MOST]
    ]
    rows.append([Cell("all"), *(Cell(f"{split.examples:,}") for split in _splits(each))])
    head = [column, *of_split]
    return Grid(f"Rows by {column} and split", head, rows, frozenset(range(1, len(head))))


def _splits(each: DataSet) -> list[DataSplit]:
    """The largest first: what is trained on."""
    return sorted(each.splits, key=lambda split: (-split.examples, split.name))


def _counts(steps: Sequence[StepRecord]) -> Grid:
    """What steps said of how many rows arrived, of how many that were expected."""
    rows = [
        [
            Cell(step.name),
            *(Cell(f"{step.metrics[name]:,.0f}" if name in step.metrics else "") for name in _COUNTED),
        ]
        for step in steps
        if any(name in step.metrics for name in _COUNTED)
    ]
    return Grid("Rows that steps counted", ("step", *_COUNTED), rows[:_MOST], frozenset(range(1, 5)))
