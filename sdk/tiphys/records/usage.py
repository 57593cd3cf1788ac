"""What each pod of a run was seen to use, beside what it requested and what it may use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tiphys.records.record import Point, RunRecord, StepRecord
from tiphys.records.requests import PodBounds

__all__ = ["MOST_POINTS", "PodUse", "rates", "thinned", "usage"]

_SHORTEST = 0.5  # seconds between samples whose difference is a rate
MOST_POINTS = 240
"""Of a line."""


@dataclass(frozen=True, slots=True)
class PodUse:
    """A step, or one worker of its training. ``memory`` is the most that it had, in bytes, ``cores`` what it used on
    the average, ``busiest`` between two looks; None where nobody looked. The lines are over seconds since the start."""

    node: str
    step: str
    worker: str
    seconds: float
    memory: float | None
    cores: float | None
    busiest: float | None
    bounds: PodBounds
    memory_line: Sequence[tuple[float, float]] = ()
    cores_line: Sequence[tuple[float, float]] = ()

    def part(self, resource: str, of: Mapping[str, float]) -> float | None:
        """How much of a request or limit was used (1: all of it); None where it has none, or nobody looked."""
        used = self.memory if resource == "memory" else self.cores
        bound = of.get(resource)
        return used / bound if bound and used is not None else None


def usage(run: RunRecord, bounds: Mapping[str, PodBounds]) -> list[PodUse]:
    """Of the steps that were looked at, in order of their starts; of a training each worker. ``bounds`` by template, as
    :func:`tiphys.records.requests.bounds` tells them."""
    steps = sorted(run.steps, key=lambda step: (step.started, step.name))
    return [use for step in steps for use in _uses(step, bounds.get(step.template, PodBounds()))]


def _uses(step: StepRecord, bounds: PodBounds) -> Iterator[PodUse]:
    workers = sorted({point.worker for point in step.points if point.key in ("memory", "peak_memory", "cpu")})
    for worker in workers:
        own = [point for point in step.points if point.worker == worker]
        memory = [point for point in own if point.key == "memory"]
        peaks = [point.value for point in own if point.key in ("memory", "peak_memory")]
        spent = [point for point in own if point.key == "cpu"]
        seconds = step.seconds or max((point.at - step.started for point in own), default=0.0)
        line = list(rates(spent, step.started))
        yield PodUse(
            step.node,
            step.name,
            worker,
            seconds,
            max(peaks, default=None),
            _total(spent) / seconds if spent and seconds > 0 else None,
            max((rate for _, rate in line), default=None),
            bounds,
            thinned([(max(point.at - step.started, 0.0), point.value) for point in memory]),
            thinned(line),
        )


def _total(spent: Sequence[Point]) -> float:
    """Seconds of a core, of all attempts: a counter that falls began anew."""
    return spent[0].value + sum(
        after.value - before.value if after.value >= before.value else after.value
        for before, after in pairwise(spent)
    )


def rates(spent: Sequence[Point], start: float) -> Iterator[tuple[float, float]]:
    """Cores between one look and the next, over seconds since ``start``, of what was spent in all by then; a process
    that began again begins anew."""
    before: Point | None = None
    for after in spent:
        if before is not None and after.value >= before.value:
            passed = after.at - before.at
            if passed < _SHORTEST:
                continue
            yield max(after.at - start, 0.0), (after.value - before.value) / passed
        before = after


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most so many: of neighbours the highest, so that no peak is lost."""
    if len(points) <= MOST_POINTS:
        return points
    step = len(points) / MOST_POINTS
    parts = (points[int(place * step) : int((place + 1) * step)] for place in range(MOST_POINTS))
    return [max(part, key=lambda each: each[1]) for part in parts if part]
