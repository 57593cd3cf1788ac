"""CronWorkflows: the times Argo would start them, and what it would start."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest

from tiphys.argo.cron import child_workflow, next_times, parse_schedule
from tiphys.errors import RefusedError


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        # after the table of robfig/cron's own tests
        ("0/15 * * * *", "2012-07-09 14:45", "2012-07-09 15:00"),
        ("20-35/15 * * * *", "2012-07-09 14:45", "2012-07-09 15:20"),
        ("0 0 * Feb Mon", "2012-07-09 23:35", "2013-02-04 00:00"),
        ("0 0 29 Feb ?", "2012-07-09 23:35", "2016-02-29 00:00"),
        ("0 0 1 * 1", "2024-05-02 00:00", "2024-05-06 00:00"),
        ("@hourly", "2024-01-01 10:30", "2024-01-01 11:00"),
        ("@weekly", "2024-01-01 10:30", "2024-01-07 00:00"),
        ("@every 1h30m", "2024-01-01 10:30", "2024-01-01 12:00"),
        ("CRON_TZ=America/New_York 0 9 * * *", "2024-07-01 00:00", "2024-07-01 13:00"),
        ("30 2 10 3 *", "2024-01-01 00:00", "2024-03-10 02:30"),
    ],
)
def test_next_time(schedule: str, after: str, expected: str) -> None:
    found = parse_schedule(schedule).after(at(after))
    assert found is not None
    assert shown(found) == expected


def test_an_hour_that_the_clock_skips_is_no_time() -> None:
    found = parse_schedule("30 2 10,11 3 *", "America/New_York").after(at("2024-03-09 00:00"))
    assert found is not None
    assert shown(found) == "2024-03-11 06:30"


def test_several_schedules_in_order_and_a_zone() -> None:
    cron = {"spec": {"schedules": ["0 12 * * *", "0 6 * * *"], "timezone": "Europe/Berlin"}}
    assert [shown(moment) for moment in islice(next_times(cron, at("2024-07-01 05:00")), 3)] == [
        "2024-07-01 10:00",
        "2024-07-02 04:00",
        "2024-07-02 10:00",
    ]


BAD = (
    "* * * *",
    "61 * * * *",
    "*/0 * * * *",
    "5-1 * * * *",
    "x * * * *",
    "@every 14d",
    "TZ=Nowhere * * * * *",
)


@pytest.mark.parametrize("schedule", BAD)
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(RefusedError) as caught:
        parse_schedule(schedule)
    assert caught.value.code == "TIP265"


def test_a_schedule_that_never_comes() -> None:
    assert parse_schedule("0 0 31 2 *").after(at("2024-01-01 00:00")) is None


def test_the_workflow_of_a_run() -> None:
    cron = {
        "metadata": {"name": "nightly"},
        "spec": {
            "schedules": ["0 2 * * *"],
            "workflowMetadata": {"labels": {"a": "b"}},
            "workflowSpec": {"entrypoint": "main"},
        },
    }
    made = child_workflow(cron, at("2024-01-01 02:00"))
    assert made["metadata"] == {
        "name": "nightly-1704074400",
        "labels": {"a": "b", "workflows.argoproj.io/cron-workflow": "nightly"},
        "annotations": {"workflows.argoproj.io/scheduled-time": "2024-01-01T02:00:00Z"},
    }
    assert made["spec"] == {"entrypoint": "main"}
