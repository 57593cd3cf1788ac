"""The trainings of a run, epoch by epoch and worker by worker: what each told, who lagged, when the gang had gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tiphys.records.record import SAMPLED, EventRecord, RunRecord, StepRecord
from tiphys.records.slow import slow_workers

__all__ = ["Training", "TrainingWorker", "trainings"]

_OWN = (*SAMPLED, "epoch", "of")


@dataclass(frozen=True, slots=True)
class TrainingWorker:
    """``name`` is empty for a step's own pod. ``epochs``: of each that it told of, by its number, the last value of
    each key. ``lost``: the seconds in which it was away; ``restarts``: how often it came back; ``ended``: its last
    event."""

    name: str
    epochs: Mapping[int, Mapping[str, float]]
    lost: float = 0.0
    restarts: int = 0
    ended: str = ""

    def line(self, key: str) -> list[tuple[int, float]]:
        """The values of a key, by epoch."""
        return [(epoch, told[key]) for epoch, told in self.epochs.items() if key in told]

    def last(self, key: str) -> float | None:
        """What it told of a key last; None if never."""
        found = self.line(key)
        return found[-1][1] if found else None


@dataclass(frozen=True, slots=True)
class Training:
    """A step that told of epochs. ``of``: how many there are to be, 0 where nobody said; ``keys``: what was told, in
    the order of the alphabet; ``slow``: who the others wait for (:func:`tiphys.records.slow.slow_workers`); ``events``:
    what happened to its workers."""

    node: str
    name: str
    phase: str
    seconds: float
    workers: tuple[TrainingWorker, ...]
    of: int = 0
    keys: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()
    events: tuple[EventRecord, ...] = ()

    @property
    def done(self) -> int:
        """The last epoch that all workers have told of: a gang is as far as its last."""
        return min((max(each.epochs, default=0) for each in self.workers), default=0)

    @property
    def lost(self) -> float:
        """Seconds in which a worker was away, of all together."""
        return sum(each.lost for each in self.workers)


def trainings(run: RunRecord) -> list[Training]:
    """The steps of a run that told of epochs, or whose gang was seen, in order of their starts."""
    steps = sorted(run.steps, key=lambda step: (step.started, step.name))
    return [found for step in steps if (found := _training(step)) is not None]


def _training(step: StepRecord) -> Training | None:
    told: dict[str, dict[int, dict[str, float]]] = {event.worker: {} for event in step.events if event.worker}
    of = 0
    for point in step.points:
        if point.key == "of" and point.epoch:
            of = max(of, int(point.value))
        if point.epoch and point.key not in _OWN:
            told.setdefault(point.worker, {}).setdefault(point.epoch, {})[point.key] = point.value
    if not any(told.values()) and len(told) < 2:
        return None
    keys = {key for epochs in told.values() for values in epochs.values() for key in values}
    return Training(
        step.node,
        step.name,
        step.phase,
        step.seconds,
        tuple(_worker(name, dict(sorted(epochs.items())), step) for name, epochs in sorted(told.items())),
        of,
        tuple(sorted(keys)),
        tuple(slow_workers(step)),
        step.events,
    )


def _worker(name: str, epochs: Mapping[int, Mapping[str, float]], step: StepRecord) -> TrainingWorker:
    own = [event for event in step.events if event.worker == name]
    starts, again = (sum(event.event == what for event in own) for what in ("started", "restarted"))
    lost = sum(event.lost for event in own)
    return TrainingWorker(name, epochs, lost, max(starts - 1, again), own[-1].event if own else "")
