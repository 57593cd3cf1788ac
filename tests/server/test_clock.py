"""The clock of CronWorkflows, with a time that the test sets and runs that really run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tiphys.engine import RunOptions
from tiphys.errors import RefusedError
from tiphys.server.clock import Clock
from tiphys.server.desk import Desk
from tiphys.server.verbs import delete

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC).timestamp()


class Time:
    """A clock that is set by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def tick(command: str = "echo {{workflow.scheduledTime}}", **spec: Any) -> Any:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": "tick"},
        "spec": {
            "schedules": ["* * * * *"],
            "workflowSpec": {
                "entrypoint": "main",
                "templates": [
                    {"name": "main", "container": {"image": "x", "command": ["sh", "-c"], "args": [command]}}
                ],
            },
            **spec,
        },
    }


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(RunOptions(store=tmp_path / "store", images={"*": "host"}))
    made.board.look()
    yield made
    for run in made.board.briefs()[1]:
        if (run.get("status") or {}).get("phase") in ("Running", "Pending"):
            with suppress(RefusedError):  # it has ended meanwhile
                made.runs.terminate("argo", run["metadata"]["name"])
            ended(made, run["metadata"]["name"])
    made.board.close()


def runs(desk: Desk) -> list[str]:
    desk.board.look()
    return [run["metadata"]["name"] for run in desk.board.briefs()[1]]


def ended(desk: Desk, name: str) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        desk.board.look()
        found = desk.board.get(name)
        phase = str(((found or {}).get("status") or {}).get("phase") or "")
        if phase in ("Succeeded", "Failed", "Error") and name not in desk.board.beginning:
            return phase
        time.sleep(0.05)
    raise AssertionError(f"{name} has not ended")


def status(desk: Desk) -> Any:
    found = desk.crons.get("tick")
    assert found is not None
    return found.get("status") or {}


def test_what_is_due_runs_once_and_is_counted(desk: Desk) -> None:
    now = Time(NOON - 30)
    clock = Clock(desk, now)
    desk.crons.create(tick())
    clock.tick()
    assert runs(desk) == []
    now.now = NOON + 0.2
    clock.tick()
    clock.tick()
    name = f"tick-{int(NOON)}"
    assert runs(desk) == [name]
    assert [each["name"] for each in status(desk)["active"]] == [name]
    assert ended(desk, name) == "Succeeded"
    clock.tick()
    assert "active" not in status(desk)
    assert status(desk)["succeeded"] == 1
    assert status(desk)["lastScheduledTime"] == "2026-11-29T12:00:00Z"
    log = next((desk.board.store.run(name) / "logs").glob("*.log")).read_text()
    assert "2026-11-29T12:00:00Z" in log


def test_a_server_that_was_off_makes_up_for_the_last_one(desk: Desk) -> None:
    made = tick(startingDeadlineSeconds=600)
    made["metadata"]["annotations"] = {"cronworkflows.argoproj.io/last-used-schedule": "* * * * *"}
    made["status"] = {"lastScheduledTime": "2026-11-29T11:30:00Z"}
    desk.crons.create(made)
    Clock(desk, Time(NOON + 10)).tick()
    name = f"tick-{int(NOON)}"
    assert runs(desk) == [name]
    ended(desk, name)


def test_a_server_that_was_killed_before_it_noted_a_run_starts_no_second(desk: Desk) -> None:
    desk.crons.create(tick(startingDeadlineSeconds=600))
    now = Time(NOON - 1)
    clock = Clock(desk, now)
    clock.tick()
    now.now = NOON
    clock.tick()
    name = f"tick-{int(NOON)}"
    assert ended(desk, name) == "Succeeded"
    found = desk.crons.get("tick")
    assert found is not None
    lost: Any = {**found, "status": {"lastScheduledTime": "2026-11-29T11:59:00Z"}}  # as before it was noted
    desk.crons.amend("tick", lambda _: lost)
    Clock(desk, Time(NOON + 1)).tick()
    assert runs(desk) == [name]
    assert status(desk)["lastScheduledTime"] == "2026-11-29T12:00:00Z"


def test_replace_ends_the_one_before_and_the_history_is_kept_short(desk: Desk) -> None:
    desk.crons.create(tick("sleep 300", concurrencyPolicy="Replace", failedJobsHistoryLimit=0))
    now = Time(NOON - 1)
    clock = Clock(desk, now)
    clock.tick()
    for minute in range(2):
        now.now = NOON + 60 * minute
        clock.tick()
    first, second = f"tick-{int(NOON)}", f"tick-{int(NOON) + 60}"
    until = time.monotonic() + 60
    while runs(desk) != [second] and time.monotonic() < until:
        clock.tick()
        time.sleep(0.1)
    assert runs(desk) == [second], first
    assert status(desk)["failed"] == 1
    assert [each["name"] for each in status(desk)["active"]] == [second]


def test_a_cron_workflow_takes_its_runs_with_it(desk: Desk) -> None:
    at = Time(1_700_000_010.0)
    clock = Clock(desk, at)
    alone: Any = {**tick(), "kind": "Workflow", "metadata": {"name": "alone"}}
    alone["spec"] = alone["spec"]["workflowSpec"]
    other = desk.create(alone)["metadata"]["name"]
    for orphan in (True, False):
        desk.keep(desk.crons, tick("sleep 60"))
        clock.tick()
        at.now += 60
        clock.tick()
        (run,) = [each for each in runs(desk) if each.startswith("tick")]
        desk.discard(desk.crons, "tick", orphan=orphan)
        if orphan:
            assert run in runs(desk)
            delete(run, desk.runs, desk.submissions)
        assert runs(desk) == [other]
        assert desk.crons.get("tick") is None


def test_a_template_that_is_not_there_is_told_and_nothing_runs(desk: Desk) -> None:
    made = tick()
    made["spec"]["workflowSpec"] = {"workflowTemplateRef": {"name": "greet"}}
    desk.crons.create(made)
    now = Time(NOON - 1)
    clock = Clock(desk, now)
    clock.tick()
    now.now = NOON
    clock.tick()
    assert runs(desk) == []
    (condition,) = status(desk)["conditions"]
    assert condition["type"] == "SpecError"
    desk.templates[0].create(
        {
            "kind": "WorkflowTemplate",
            "metadata": {"name": "greet"},
            "spec": tick()["spec"]["workflowSpec"],
        }  # type: ignore[typeddict-unknown-key]
    )
    now.now = NOON + 60
    clock.tick()
    (name,) = runs(desk)
    assert ended(desk, name) == "Succeeded"
    assert "conditions" not in status(desk)


def test_one_that_cannot_be_read_leaves_the_others_alone(desk: Desk) -> None:
    broken = tick(schedules=["61 * * * *"])
    broken["metadata"]["name"] = "broken"
    desk.crons.create(broken)
    desk.crons.create(tick())
    now = Time(NOON - 1)
    clock = Clock(desk, now)
    clock.tick()
    now.now = NOON
    clock.tick()
    (name,) = runs(desk)
    assert name == f"tick-{int(NOON)}"
    ended(desk, name)
