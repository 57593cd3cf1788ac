"""Trainings, epoch by epoch: folded from what workers told."""

from __future__ import annotations

from dataclasses import replace

from tiphys.records.record import EventRecord, Point, RunRecord, StepRecord
from tiphys.records.trainings import trainings


def step(name: str, points: list[Point], events: list[EventRecord] | None = None) -> StepRecord:
    return StepRecord(
        name,
        name,
        "train",
        "Pod",
        "Succeeded",
        started=1.0,
        finished=9.0,
        points=tuple(points),
        events=tuple(events or ()),
    )


def run(*steps: StepRecord) -> RunRecord:
    return RunRecord("r", "r", "", "", "local", "p", "Succeeded", steps=steps)


def epochs(worker: str, *losses: float, lag: float = 1.0, of: int = 3) -> list[Point]:
    return [
        Point("t", float(epoch), key, value, epoch, worker)
        for epoch, loss in enumerate(losses, 1)
        for key, value in (("loss", loss), ("lag", lag), ("of", of), ("epoch", epoch), ("cpu", 1.0))
    ]


def test_workers_side_by_side_and_a_gang_is_as_far_as_its_last() -> None:
    (found,) = trainings(run(step("t", epochs("worker-0", 0.9, 0.5) + epochs("worker-1", 0.8))))
    first, second = found.workers
    assert (first.name, second.name) == ("worker-0", "worker-1")
    assert first.line("loss") == [(1, 0.9), (2, 0.5)] and second.last("loss") == 0.8
    assert (found.done, found.of, found.keys) == (1, 3, ("lag", "loss"))
    assert second.last("accuracy") is None and found.slow == ()


def test_what_was_told_again_of_an_epoch_counts() -> None:
    points = [*epochs("", 0.9, 0.5), Point("t", 9.0, "loss", 0.4, 2, "")]
    (found,) = trainings(run(step("t", points)))
    assert found.workers[0].line("loss") == [(1, 0.9), (2, 0.4)]


def test_gaps_of_a_gang_and_who_lags() -> None:
    events = [
        EventRecord("t", 1.0, "started", worker="worker-0"),
        EventRecord("t", 1.0, "started", worker="worker-1"),
        EventRecord("t", 2.0, "failed", worker="worker-1", exit_code=137),
        EventRecord("t", 4.5, "started", worker="worker-1", lost=2.5),
        EventRecord("t", 8.0, "succeeded", worker="worker-1"),
    ]
    points = epochs("worker-0", 0.9, 0.8) + epochs("worker-1", 0.9, 0.8, lag=4.0)
    (found,) = trainings(run(step("t", points, events)))
    assert [(each.lost, each.restarts, each.ended) for each in found.workers] == [
        (0.0, 0, "started"),
        (2.5, 1, "succeeded"),
    ]
    assert found.lost == 2.5 and found.slow == ("worker-1 is 4 times slower than the others since epoch 1",)


def test_a_gang_that_told_nothing_yet_is_there_and_a_step_that_tells_no_epochs_is_none() -> None:
    started = [EventRecord("t", 1.0, "started", worker=f"worker-{place}") for place in range(2)]
    early = replace(step("early", [], started), started=0.5)
    (found,) = trainings(run(step("plain", [Point("t", 1.0, "accuracy", 0.5)]), early))
    assert found.name == "early" and found.done == 0 and len(found.workers) == 2
