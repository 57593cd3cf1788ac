"""What the status of the training operator says of an end, and what follows, as Argo is told."""

from __future__ import annotations

from tiphys.dsl import operator
from tiphys.dsl.on_failure import Again, OnFailure
from tiphys.engine.objects.tfjob_status import set_condition


def test_all_workers_or_the_first() -> None:
    assert operator.success(3, "AllWorkers") == ["status.replicaStatuses.Worker.succeeded == 3"]
    assert operator.success(3, "") == ["status.replicaStatuses.Worker.succeeded > 0"]
    assert operator.success(3, "AllWorkers", elastic=True) == ["status.completionTime"]


def test_the_place_of_a_failure_is_one_of_those_that_are_looked_at() -> None:
    """A job that was restarted before it failed has one condition more."""
    for before in (["Created"], ["Created", "Running"], ["Created", "Restarting", "Running"]):
        status: dict[str, object] = {"conditions": [], "replicaStatuses": {}}
        for kind in (*before, "Failed"):
            set_condition(status, kind, f"TFJob{kind}", "", "2026-01-01T00:00:00Z")  # type: ignore[arg-type]
        kinds = [each["type"] for each in status["conditions"]]  # type: ignore[attr-defined]
        assert f"status.conditions.{kinds.index('Failed')}.type == Failed" in operator.FAILURE


def test_a_failed_job_is_followed_as_often_as_is_asked() -> None:
    many = operator.adopt(OnFailure(preempted=Again(5)))
    assert many is not None and many.limit == 5 and "asInt(retries) < 5" in many.expression
    assert operator.adopt(OnFailure(preempted=None)) is None
    assert "failure condition" not in operator.adopted().expression
