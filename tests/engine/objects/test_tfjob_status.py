"""Conditions of a TFJob, as the operator writes them (tests/cluster asks the real one)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.engine.objects.tfjob_status import end_of_job, replica_status, set_condition

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import TFJobStatus


def conditions(*kinds: str) -> list[tuple[str, str]]:
    status: TFJobStatus = {"conditions": [], "replicaStatuses": {}}
    for kind in kinds:
        set_condition(status, kind, f"TFJob{kind}", "", "2026-01-01T00:00:00Z")
    return [(each["type"], each["status"]) for each in status["conditions"]]


def test_one_that_restarts_does_not_run() -> None:
    assert conditions("Created", "Running", "Restarting") == [("Created", "True"), ("Restarting", "True")]
    assert conditions("Created", "Running", "Restarting", "Running")[-1] == ("Running", "True")


def test_nothing_follows_the_end() -> None:
    ended = [("Created", "True"), ("Running", "False"), ("Succeeded", "True")]
    assert conditions("Created", "Running", "Succeeded", "Failed") == ended


def test_how_it_ended() -> None:
    status: TFJobStatus = {"conditions": [], "replicaStatuses": {}}
    set_condition(status, "Running", "TFJobRunning", "", "2026-01-01T00:00:00Z")
    assert end_of_job(status) == ""
    set_condition(status, "Failed", "TFJobFailed", "", "2026-01-01T00:00:00Z")
    assert end_of_job(status) == "Failed"


def test_zeros_are_left_out() -> None:
    assert replica_status({"active": 0, "succeeded": 2, "failed": 0}) == {"succeeded": 2}
