"""Trainings: each worker's epochs side by side, who lags, and the gaps of the gang."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tiphys.pages.charts import Series, chart
from tiphys.pages.html import duration, number, phase_class, when
from tiphys.records.trainings import Training, TrainingWorker, trainings
from tiphys.server.views.drawing import spark
from tiphys.server.views.parts import Cell, Grid, Part

if TYPE_CHECKING:
    from tiphys.records.record import RunRecord

__all__ = ["training_parts"]

_FIRST = (
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "examples_per_second",
    "seconds",
    "lag",
    "all_reduce_share",
)
_WORDS = {
    "examples_per_second": "examples/s",
    "seconds": "seconds an epoch",
    "lag": "lag, times slower than the others",
    "all_reduce_share": "all-reduce, part of an epoch",
    "all_reduce": "all-reduce, seconds",
    "cpu_seconds": "CPU seconds",
}
_DRAWN = 6  # charts of a training
_MOST_WORKERS = 64
_MOST_EPOCHS = 500
_MOST_ROWS = 2000


def training_parts(run: RunRecord) -> list[Part]:
    """A part for each training of the run."""
    return [_part(each, run) for each in trainings(run)]


def _part(training: Training, run: RunRecord) -> Part:
    keys = _ordered(training.keys)
    gone = f" of {training.of}" if training.of else ""
    notes = [
        f"{training.phase}, epoch {training.done}{gone} of all workers, {len(training.workers)} workers."
    ]
    if training.seconds:
        notes.append(f"It took {duration(training.seconds)}.")
    warnings = [*training.slow]
    if training.lost:
        warnings.append(f"Workers were away for {duration(training.lost)} in all.")
    warnings += [
        f"{_called(each)} began again {each.restarts} times." for each in training.workers if each.restarts
    ]
    return Part(
        training.name,
        notes,
        warnings,
        [drawn for key in keys[:_DRAWN] if (drawn := _chart(key, training))],
        [_workers(training), *_events(training, run), *([_epochs(keys, training)] if keys else [])],
    )


def _ordered(keys: Sequence[str]) -> list[str]:
    return sorted(keys, key=lambda key: (_FIRST.index(key) if key in _FIRST else len(_FIRST), key))


def _called(worker: TrainingWorker) -> str:
    return worker.name or "its pod"


def _chart(key: str, training: Training) -> str:
    lines = [Series(_called(each), each.line(key)) for each in training.workers]
    return chart(_WORDS.get(key, key), lines, x=lambda epoch: f"{epoch:g}", y=number, across="epoch")


def _workers(training: Training) -> Grid:
    rows = []
    for each in training.workers[:_MOST_WORKERS]:
        name, lag = _called(each), each.last("lag")
        slow = any(line.startswith(f"{name} ") for line in training.slow)
        mark = {"failed": "bad", "succeeded": "ok", "stopped": "none"}.get(
            each.ended, "run" if each.ended else ""
        )
        rows.append(
            [
                Cell(name),
                Cell(each.ended or training.phase, mark=mark or phase_class(training.phase)),
                Cell(f"{max(each.epochs, default=0)}"),
                Cell(_told(each.last("loss")), drawing=spark(each.line("loss"), f"loss of {name} by epoch")),
                Cell(
                    _told(each.last("accuracy")),
                    drawing=spark(each.line("accuracy"), f"accuracy of {name} by epoch"),
                ),
                Cell(
                    _told(each.last("examples_per_second")),
                    drawing=spark(each.line("examples_per_second"), f"examples a second of {name} by epoch"),
                ),
                Cell("" if lag is None else f"{number(lag)}×", mark="bad" if slow else ""),
                Cell(duration(each.lost) if each.lost else "–"),
                Cell(str(each.restarts) if each.restarts else "–"),
            ]
        )
    head = ("worker", "state", "epochs", "loss", "accuracy", "examples/s", "lag", "away", "began again")
    return Grid(
        f"Workers of {training.name}, with the last of each value", head, rows, frozenset((2, 6, 7, 8))
    )


def _epochs(keys: Sequence[str], training: Training) -> Grid:
    """The workers of an epoch one below the other, the last epochs first."""
    epochs = sorted({epoch for each in training.workers for epoch in each.epochs}, reverse=True)
    rows = [
        [Cell(f"{epoch}"), Cell(_called(each)), *(Cell(_told(each.epochs[epoch].get(key))) for key in keys)]
        for epoch in epochs[:_MOST_EPOCHS]
        for each in training.workers[:_MOST_WORKERS]
        if epoch in each.epochs
    ]
    head = ["epoch", "worker", *(_WORDS.get(key, key) for key in keys)]
    caption = f"All that the workers of {training.name} told, by epoch"
    return Grid(caption, head, rows[:_MOST_ROWS], frozenset([0, *range(2, len(head))]), folded=True)


def _events(training: Training, run: RunRecord) -> Iterator[Grid]:
    """What happened to the gang, where more did than that it began and ended well."""
    odd = [event for event in training.events if event.event not in ("started", "succeeded") or event.lost]
    if odd:
        rows = [
            [
                Cell(duration(max(event.at - run.started, 0.0))),
                Cell(event.worker),
                Cell(event.event, mark="bad" if event.event == "failed" else ""),
                Cell("" if event.exit_code is None else str(event.exit_code)),
                Cell(event.message),
                Cell(duration(event.lost) if event.lost else ""),
                Cell(when(event.at)),
            ]
            for event in odd[:_MOST_EPOCHS]
        ]
        head = ("since the run's start", "worker", "what", "exit code", "message", "away before", "at")
        yield Grid(f"Gaps of the gang of {training.name}", head, rows, frozenset((0, 3, 5)))


def _told(value: float | None) -> str:
    return "" if value is None else number(value)
