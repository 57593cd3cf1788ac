"""What evaluations said of models: the candidates of a run, the bar that they had to pass, and how they did by slice.

Both are found in the outputs of steps by what they look like: a JSON object with ``name`` and ``validation_accuracy``
or ``accuracy``; one with ``confusion``, a square of counts, rows the truth and columns the answers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tiphys.records.record import RunRecord, StepRecord

__all__ = ["ModelReport", "Slice", "bar", "judged"]

_WIDEST = 40
_MOST_SLICES = 500  # of one model
_ACCURACIES = ("validation_accuracy", "accuracy")
_BARS = ("min-accuracy", "min_accuracy")
_MOST = 1e200
_LONGEST = 1 << 20  # characters of an output


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of the examples that share a ``value`` of a ``column``, and the part of them that was
    answered right."""

    column: str
    value: str
    accuracy: float


@dataclass(frozen=True, slots=True)
class ModelReport:
    """A model. ``accuracy`` is what it is chosen by, ``test`` what it has on data that take no part in that; NaN where
    none is told; ``confusion`` empty where none is; ``classes`` the names of its rows, if the accuracies of the classes
    tell them; ``chosen`` as what it was chosen (``first``). ``slices`` are the lowest first;
    ``synthetic``: it says that its data were made up. ``step`` is the node that told it."""

    name: str
    accuracy: float
    confusion: Sequence[Sequence[float]] = ()
    classes: Sequence[str] = ()
    chosen: Sequence[str] = field(default=())
    test: float = math.nan
    seconds: float = math.nan
    uri: str = ""
    digest: str = ""
    dataset: str = ""
    synthetic: bool = False
    slices: Sequence[Slice] = ()
    step: str = ""


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
                    name,
                    accuracy,
                    matrix,
                    _classes(matrix, report.get("class_accuracy")),
                    chosen,
                    _number(report.get("test_accuracy")),
                    _number(report.get("seconds")),
                    _text(report.get("uri")),
                    _text(report.get("digest")),
                    _text(report.get("dataset")),
                    report.get("synthetic") is True,
                    _slices(report),
                    step.node,
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


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _slices(report: Mapping[str, object]) -> list[Slice]:
    """The lowest first. Where none are told, the classes are the slices."""
    told = report.get("slices") or {"class": report.get("class_accuracy")}
    found = [
        Slice(str(column), str(value), _number(accuracy))
        for column, values in (told.items() if isinstance(told, dict) else ())
        for value, accuracy in (values.items() if isinstance(values, dict) else ())
        if _is_number(accuracy)
    ]
    return sorted(found, key=lambda each: (each.accuracy, each.column, each.value))[:_MOST_SLICES]
