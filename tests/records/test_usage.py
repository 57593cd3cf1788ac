"""What pods used, against numbers computed by hand."""

from __future__ import annotations

import pytest

from tiphys.records.record import Point, RunRecord, StepRecord
from tiphys.records.requests import PodBounds
from tiphys.records.usage import MOST_POINTS, rates, thinned, usage


def run(*points: Point) -> RunRecord:
    step = StepRecord("n", "train", "t", "Pod", "Succeeded", started=10.0, finished=20.0, points=points)
    return RunRecord("r", "r", "", "", "local", "p", "Succeeded", steps=(step,))


def point(at: float, key: str, value: float, worker: str = "") -> Point:
    return Point("n", at, key, value, 0, worker)


def test_use_beside_request_and_limit() -> None:
    bounds = {"t": PodBounds({"cpu": 0.5, "memory": 200.0}, {"memory": 400.0})}
    (found,) = usage(
        run(
            point(12, "memory", 80), point(14, "memory", 90), point(14, "peak_memory", 100),
            point(12, "cpu", 1.0), point(14, "cpu", 3.0), point(20, "cpu", 4.0),
        ),
        bounds,
    )  # fmt: skip
    assert (found.step, found.worker, found.seconds, found.memory) == ("train", "", 10.0, 100)
    assert found.cores == pytest.approx(0.4) and found.busiest == pytest.approx(1.0)
    assert found.part("memory", found.bounds.requests) == 0.5
    assert found.part("memory", found.bounds.limits) == 0.25
    assert found.part("cpu", found.bounds.requests) == pytest.approx(0.8)
    assert found.part("cpu", found.bounds.limits) is None
    assert found.memory_line == [(2, 80), (4, 90)]


def test_each_worker_and_one_that_began_again() -> None:
    first, second = usage(
        run(
            point(12, "cpu", 5.0, "worker-1"), point(13, "cpu", 1.0, "worker-1"), point(15, "cpu", 2.0, "worker-1"),
            point(12, "memory", 7, "worker-0"),
        ),
        {},
    )  # fmt: skip
    assert (first.worker, first.memory, first.cores, first.busiest) == ("worker-0", 7, None, None)
    assert second.cores == pytest.approx((5 + 1 + 1) / 10) and second.busiest == pytest.approx(0.5)
    assert second.memory is None and second.part("memory", {"memory": 3}) is None


def test_a_step_that_nobody_looked_at_is_left_out() -> None:
    assert usage(run(point(12, "accuracy", 0.5)), {}) == []


def test_of_neighbours_the_highest_is_kept() -> None:
    line = [(float(place), float(place == 777)) for place in range(10 * MOST_POINTS)]
    kept = thinned(line)
    assert len(kept) == MOST_POINTS and (777.0, 1.0) in kept
    assert list(rates([point(0, "cpu", 0.0), point(0.1, "cpu", 0.1), point(1, "cpu", 1.0)], 0.0)) == [
        (1, 1.0)
    ]
