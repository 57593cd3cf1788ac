"""A slow worker is named by its second slow epoch, and no other is."""

from __future__ import annotations

import pytest

from tiphys.records.record import Point, StepRecord
from tiphys.records.slow import slow_workers


def step(**lags: list[float]) -> StepRecord:
    points = [
        Point("n", float(epoch), "lag", value, epoch, worker.replace("_", "-"))
        for worker, values in lags.items()
        for epoch, value in enumerate(values, 1)
    ]
    return StepRecord("n", "cnn.train", "train", "Pod", "Running", points=tuple(points))


def test_one_of_two_is_ten_times_slower() -> None:
    """The case of the book: named within three epochs."""
    said = ["worker-1 is 10 times slower than the others since epoch 1"]
    assert slow_workers(step(worker_0=[0.1], worker_1=[10.0])) == []
    assert slow_workers(step(worker_0=[0.1, 0.1], worker_1=[10.0, 9.5])) == said
    assert slow_workers(step(worker_0=[0.1] * 3, worker_1=[10.0, 9.5, 9.0])) == said


@pytest.mark.parametrize(
    "lags", [[], [1.0] * 9, [1.0, 9.0, 1.0, 9.0], [9.0, 9.0, 1.0], [2.9] * 5], ids=lambda each: str(each)
)
def test_nobody(lags: list[float]) -> None:
    assert slow_workers(step(worker_1=lags)) == []


def test_since_when() -> None:
    assert slow_workers(step(worker_2=[9.0, 1.0, 4.0, 5.0])) == [
        "worker-2 is 5 times slower than the others since epoch 3"
    ]
    other = Point("n", 1.0, "accuracy", 99.0, 1, "worker-1")
    assert slow_workers(StepRecord("n", "t", "t", "Pod", "Running", points=(other, other))) == []
