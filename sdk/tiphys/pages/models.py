"""What evaluations said of models: candidates beside the bar that they had to pass, and confusion matrices.

Both are found in the outputs of steps by what they look like: a JSON object with ``name`` and ``validation_accuracy``
or ``accuracy``; one with ``confusion``, a square of counts, rows the truth and columns the answers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tiphys.pages.html import number, safe
from tiphys.records.record import RunRecord, StepRecord

__all__ = ["ModelReport", "candidates", "confusions", "judged"]

MOST_MATRICES, MOST_BARS, _WIDEST = 6, 40, 40
_ACCURACIES = ("validation_accuracy", "accuracy")
_BARS = ("min-accuracy", "min_accuracy")
_MOST = 1e200
_LONGEST = 1 << 20  # characters of an output


@dataclass(frozen=True, slots=True)
class ModelReport:
    """A model. ``accuracy`` is NaN where none is told; ``confusion`` empty where none is; ``classes`` the names of its
    rows, if the accuracies of the classes tell them; ``chosen`` as what it was chosen (``first``)."""

    name: str
    accuracy: float
    confusion: Sequence[Sequence[float]] = ()
    classes: Sequence[str] = ()
    chosen: Sequence[str] = field(default=())


def judged(run: RunRecord) -> list[ModelReport]:
    """The models that the outputs of steps speak of, the best first."""
    found: dict[str, ModelReport] = {}
    for step in run.steps:
        for text in step.outputs.values():
            report = _object(text)
            accuracy = next((_number(report.get(key)) for key in _ACCURACIES if key in report), math.nan)
            matrix = _square(report.get("confusion"))
            if not matrix and (math.isnan(accuracy) or not isinstance(report.get("name"), str)):
                continue
            name = str(report.get("name") or step.name)
            if name not in found:
                marks = {str(report.get(key)) for key in ("name", "uri")}
                chosen = tuple(sorted(set(_chosen(run, step, marks))))
                found[name] = ModelReport(
                    name, accuracy, matrix, _classes(matrix, report.get("class_accuracy")), chosen
                )
    return sorted(
        found.values(), key=lambda each: (-each.accuracy if each.accuracy == each.accuracy else 1, each.name)
    )


def bar(run: RunRecord) -> float | None:
    """The accuracy that a model had to have, if the run has a parameter or an output that says so."""
    told: list[Mapping[str, str | float]] = [run.parameters]
    told += [step.outputs for step in run.steps]
    told += [step.metrics for step in run.steps]
    for values in told:
        for name in _BARS:
            try:
                value = float(values.get(name, ""))
            except ValueError:
                continue
            if 0 <= value <= 1:
                return value
    return None


def candidates(run: RunRecord, models: Sequence[ModelReport]) -> str:
    """A bar for each, and a line where the bar is."""
    told = [each for each in models if 0 <= each.accuracy <= 1]
    if not told:
        return ""
    least = bar(run)
    line = "" if least is None else f'<u style="left:{least * 100:.2f}%"></u>'
    rows = []
    for each in told[:MOST_BARS]:
        css = "ok" if least is None or each.accuracy >= least else "bad"
        sign = f" <b>({safe(', '.join(each.chosen), 60)})</b>" if each.chosen else ""
        rows.append(
            f'<span class="name">{safe(each.name, 80)}{sign}</span>'
            f'<div class="track"><i class="{css}" style="left:0;width:{each.accuracy * 100:.2f}%"></i>{line}</div>'
            f"<span>{number(each.accuracy)}</span>"
        )
    note = "" if least is None else f"The line is the bar: an accuracy of {number(least)}. "
    if len(told) > MOST_BARS:
        note += f"{len(told) - MOST_BARS:,} candidates are left out."
    return f'<div class="bars">{"".join(rows)}</div>' + (f'<p class="note">{note}</p>' if note else "")


def confusions(models: Sequence[ModelReport]) -> tuple[list[str], int]:
    """The matrices, and how many are left out."""
    with_one = [each for each in models if each.confusion]
    return [_matrix(each) for each in with_one[:MOST_MATRICES]], max(len(with_one) - MOST_MATRICES, 0)


def _matrix(model: ModelReport) -> str:
    names = model.classes or [str(place) for place in range(len(model.confusion))]
    head = "".join(f'<th class="col">{safe(name, 24)}</th>' for name in names)
    rows = []
    for name, row in zip(names, model.confusion, strict=True):
        most = sum(row) or 1.0
        cells = "".join(
            f'<td style="background:rgba(var(--heat),{min(value / most, 1) * 0.6:.3f})" '
            f'title="{safe(name, 24)} → {safe(names[place], 24)}: {number(value)}">'
            f"{number(value) if value else '·'}</td>"
            for place, value in enumerate(row)
        )
        rows.append(f'<tr><th class="row">{safe(name, 24)}</th>{cells}</tr>')
    table = f'<table class="matrix"><tr><th></th>{head}</tr>{"".join(rows)}</table>'
    return f'<div><h3>{safe(model.name, 80)}</h3><div class="scroll">{table}</div></div>'


def _chosen(run: RunRecord, own: StepRecord, marks: set[str]) -> Iterator[str]:
    """The outputs of other steps that are just its name or its place: as what it was chosen."""
    for step in run.steps:
        if step.node != own.node and not step.creates:
            for name, text in step.outputs.items():
                if text in marks and text:
                    yield name.removesuffix("-name").removesuffix("-uri")


def _object(text: str) -> Mapping[str, object]:
    if text[:1] != "{" or len(text) > _LONGEST:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float:
    """NaN for what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST:
        return math.nan
    return float(value)


def _is_number(value: object) -> bool:
    return not math.isnan(_number(value))


def _square(value: object) -> Sequence[Sequence[float]]:
    if not isinstance(value, list) or not 2 <= len(value) <= _WIDEST:
        return ()
    for row in value:
        if not isinstance(row, list) or len(row) != len(value):
            return ()
        if not all(_is_number(each) and each >= 0 for each in row):
            return ()
    return value


def _classes(matrix: Sequence[Sequence[float]], told: object) -> Sequence[str]:
    """The names of the rows, where each has an accuracy that is that of one class alone."""
    if not isinstance(told, dict) or len(told) != len(matrix):
        return ()
    names = []
    for place, row in enumerate(matrix):
        accuracy = row[place] / (sum(row) or 1.0)
        fitting = [
            str(name) for name, value in told.items() if _is_number(value) and abs(value - accuracy) < 1e-3
        ]
        if len(fitting) != 1:
            return ()
        names += fitting
    return names
