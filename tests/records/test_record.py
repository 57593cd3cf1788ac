"""Values of a metric over the steps of a run."""

from __future__ import annotations

from tiphys.records.record import RunRecord, StepRecord


def test_metrics_are_in_the_order_of_the_steps() -> None:
    steps = (
        StepRecord("b", "b", "t", "Pod", "Succeeded", started=5.0, finished=7.5, metrics={"loss": 2.0}),
        StepRecord("a", "a", "t", "Pod", "Succeeded", started=1.0, metrics={"loss": 1.0, "size": 3.0}),
    )
    record = RunRecord("k", "k", "", "", "local", "k", "Succeeded", steps=steps)
    assert record.metrics() == {"loss": [1.0, 2.0], "size": [3.0]}
    assert [step.seconds for step in steps] == [2.5, 0.0]
