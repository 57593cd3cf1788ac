"""What a CronWorkflow does when it is due. The values are those of Argo's documentation and of its own tests
(workflow/cron/operator_test.go); the real controller judges in tests/cluster/test_server.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.argo.time import rfc3339
from tiphys.expr.moment import PRESENT
from tiphys.server.crons import Child, decide, missed, reconciled, refused, started, surplus

LAST = "cronworkflow.lastScheduledTime"
NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC).timestamp()
LATEST = "cronworkflows.argoproj.io/last-used-schedule"


def cron(status: dict[str, Any] | None = None, labels: dict[str, str] | None = None, **spec: Any) -> Any:
    said = ",".join(spec.setdefault("schedules", ["*/10 * * * *"]))
    return {
        "metadata": {
            "name": "tick",
            "namespace": "argo",
            "uid": "u",
            "annotations": {LATEST: said},
            "labels": labels,
        },
        "spec": {"workflowSpec": {"entrypoint": "main", "templates": []}, **spec},
        "status": status or {},
    }


def active(*names: str) -> dict[str, Any]:
    return {"active": [{"name": name, "uid": f"u-{name}"} for name in names], "phase": "Active"}


def test_a_run_has_the_name_of_its_time_and_an_owner() -> None:
    start = decide(cron(), NOON).start
    assert start is not None
    metadata: Any = start["metadata"]
    assert metadata["name"] == f"tick-{int(NOON)}"
    assert metadata["annotations"]["workflows.argoproj.io/scheduled-time"] == "2026-11-29T12:00:00Z"
    assert metadata["labels"]["workflows.argoproj.io/cron-workflow"] == "tick"
    assert metadata["ownerReferences"][0]["uid"] == "u"


@pytest.mark.parametrize(
    ("policy", "starts", "ended"),
    [("Allow", True, []), ("", True, []), ("Forbid", False, []), ("Replace", True, ["a", "b"])],
)
def test_what_becomes_of_two_at_once(policy: str, starts: bool, ended: list[str]) -> None:
    found = decide(cron(active("a", "b"), concurrencyPolicy=policy), NOON)
    assert (found.start is not None, list(found.terminate)) == (starts, ended)
    alone = decide(cron(concurrencyPolicy=policy), NOON)
    assert alone.start is not None
    assert not alone.terminate


def test_one_that_is_suspended_or_stopped_starts_nothing() -> None:
    assert decide(cron(suspend=True), NOON).start is None
    assert decide(cron({"phase": "Stopped"}), NOON).start is None


@pytest.mark.parametrize(
    ("when", "starts"),
    [
        (
            "{{= cronworkflow.lastScheduledTime == nil || (now() - cronworkflow.lastScheduledTime).Seconds() > 360 }}",
            True,
        ),
        ("{{= (now() - cronworkflow.lastScheduledTime).Seconds() < 0 }}", False),
        ("{{cronworkflow.failed}} < 3", True),
        ("{{= cronworkflow.failed < 2 }}", False),
        ("'{{cronworkflow.name}}' == 'tick'", True),
        ("{{= cronworkflow.labels['team'] == 'blue' }}", True),
    ],
)
def test_when_decides(when: str, starts: bool) -> None:
    PRESENT.set(NOON)
    status = {"failed": 2, "lastScheduledTime": "2026-01-01T00:00:00Z"}
    found = decide(cron(status, labels={"team": "blue"}, when=when), NOON)
    assert (found.start is not None) is starts, found.cron["status"]


def test_a_when_that_cannot_be_evaluated_is_told() -> None:
    found = decide(cron(when="{{= nonsense( }}"), NOON)
    assert found.start is None
    status: Any = found.cron["status"]
    (condition,) = status["conditions"]
    assert condition["type"] == "SubmissionError"
    assert condition["message"].startswith("run policy error: ")
    assert status["failed"] == 1


def test_it_stops_for_good_when_its_strategy_says_so() -> None:
    before = cron({**active("a"), "failed": 1}, stopStrategy={"expression": "cronworkflow.failed >= 2"})
    after: Any = reconciled(before, [Child("a", "u-a", "Failed", NOON)])
    assert after["status"] == {"phase": "Stopped", "failed": 2, "succeeded": 0}
    over: Any = decide(after, NOON)
    assert over.start is None
    assert over.cron["metadata"]["labels"]["cronworkflows.argoproj.io/completed"] == "true"
    assert missed({**over.cron, "spec": {**after["spec"], "startingDeadlineSeconds": 10**6}}, NOON) is None


def test_a_spec_that_is_wrong_starts_nothing_until_it_is_right() -> None:
    wrong: Any = decide(cron(), NOON, "templates.main is missing").cron
    assert wrong["status"]["conditions"] == [
        {"type": "SpecError", "status": "True", "message": "templates.main is missing"}
    ]
    right: Any = decide(wrong, NOON)
    assert right.start is not None
    assert "conditions" not in right.cron["status"]


def test_the_runs_are_counted_once_they_end() -> None:
    first: Any = started(
        decide(cron(), NOON).cron, NOON, {"metadata": {"name": "a", "uid": "u-a", "namespace": "argo"}}
    )
    assert first["status"]["phase"] == "Active"
    assert first["status"]["lastScheduledTime"] == "2026-11-29T12:00:00Z"
    runs = [
        Child("a", "u-a", "Succeeded", NOON),
        Child("b", "u-b", "Running"),
        Child("c", "u-c", "Error", NOON),
    ]
    after: Any = reconciled(first, runs)
    assert [each["name"] for each in after["status"]["active"]] == ["b"]
    assert (after["status"]["succeeded"], after["status"]["failed"]) == (1, 0)  # c was not known to be active
    assert reconciled(after, runs) == after
    gone: Any = reconciled(after, [])  # b was deleted
    assert (gone["status"].get("active"), gone["status"]["succeeded"], gone["status"]["failed"]) == (
        None,
        1,
        0,
    )


def test_a_run_that_cannot_be_created_is_a_failed_one() -> None:
    status: Any = refused(cron(), "no")["status"]
    assert status["failed"] == 1
    assert status["conditions"][0]["message"] == "Failed to submit Workflow: no"


@pytest.mark.parametrize(
    ("limits", "gone"),
    [
        ({}, ["s0", "s1", "f0"]),
        ({"successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 5}, ["s0", "s1", "s2", "s3", "s4"]),
        ({"successfulJobsHistoryLimit": -1, "failedJobsHistoryLimit": 0}, ["s0", "s1", "f0", "f1"]),
    ],
    ids=["three and one", "none and all", "no number is none"],
)
def test_the_oldest_go(limits: dict[str, int], gone: list[str]) -> None:
    runs = [Child(f"s{n}", f"s{n}", "Succeeded", n) for n in range(5)]
    runs += [Child(f"f{n}", f"f{n}", phase, n) for n, phase in enumerate(("Failed", "Error"))]
    runs.append(Child("r", "r", "Running"))
    assert sorted(surplus(cron(**limits), runs)) == sorted(gone)


@pytest.mark.parametrize(
    ("last", "deadline", "found"),
    [
        (NOON - 3600, 400, NOON - 300),
        (NOON - 3600, 300, None),  # the deadline is over at that moment
        (NOON - 3600, 299, None),
        (NOON - 3600, None, None),
        (NOON - 300, 400, None),  # that was the last one
        (None, 400, None),  # it never ran
    ],
)
def test_the_latest_that_was_missed_is_made_up_for(
    last: float | None, deadline: int | None, found: float | None
) -> None:
    spec = {} if deadline is None else {"startingDeadlineSeconds": deadline}
    status = {"lastScheduledTime": rfc3339(last)} if last else {}
    given = cron(status, schedules=["5-55/10 * * * *"], **spec)
    assert missed(given, NOON) == found
    given["metadata"]["annotations"][LATEST] = "5 * * * *"
    assert missed(given, NOON) is None  # another schedule: what was missed was not this one's


@settings(deadline=None)
@given(st.integers(0, 400 * 24 * 60), st.integers(1, 10**7))
def test_what_is_missed_is_within_the_deadline_and_the_last(minutes: int, deadline: int) -> None:
    last = NOON - minutes * 60
    given = cron({"lastScheduledTime": rfc3339(last)}, startingDeadlineSeconds=deadline, timezone="")
    found = missed(given, NOON + 1)
    due = [NOON - n * 600 for n in range(2) if NOON - n * 600 > last and NOON - n * 600 + deadline > NOON + 1]
    assert found == (due[0] if due else None)


@pytest.mark.parametrize(("period", "found"), [("7m", NOON - 240), ("5m", NOON - 300), ("1h1m", None)])
def test_periods_are_counted_from_the_last(period: str, found: float | None) -> None:
    status = {"lastScheduledTime": rfc3339(NOON - 3600)}
    assert missed(cron(status, schedules=[f"@every {period}"], startingDeadlineSeconds=3600), NOON) == found
