"""All that a CronWorkflow can be told, as the real ``argo lint`` takes it; what it refuses is refused here first."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tests.tools import argo_lint
from tiphys import DefinitionError, Pipeline, component


@component
def work() -> None:
    """Nothing is read of it."""


@pytest.fixture
def nightly() -> Pipeline:
    with Pipeline("nightly", title="Each night", labels={"team": "a"}) as pipeline:
        work()
    return pipeline


def test_everything_is_said(nightly: Pipeline, tmp_path: Path) -> None:
    made = nightly.as_cron(
        "0 3 * * *",
        "@every 1h",
        timezone="Europe/Berlin",
        suspend=True,
        overlap="replace",
        starting_deadline=timedelta(minutes=2),
        keep_succeeded=5,
        keep_failed=0,
        when="cronworkflow.lastScheduledTime == nil || (now() - cronworkflow.lastScheduledTime).Hours() > 2",
        stop_when="cronworkflow.failed >= 3",
    )
    spec = {key: value for key, value in made["spec"].items() if key != "workflowSpec"}
    assert spec == {
        "schedules": ["0 3 * * *", "@every 1h"],
        "timezone": "Europe/Berlin",
        "suspend": True,
        "concurrencyPolicy": "Replace",
        "startingDeadlineSeconds": 120,
        "successfulJobsHistoryLimit": 5,
        "failedJobsHistoryLimit": 0,
        "when": "{{= cronworkflow.lastScheduledTime == nil"
        " || (now() - cronworkflow.lastScheduledTime).Hours() > 2 }}",
        "stopStrategy": {"expression": "cronworkflow.failed >= 3"},
        "workflowMetadata": {
            "labels": {"team": "a"},
            "annotations": {"workflows.argoproj.io/title": "Each night"},
        },
    }
    file = tmp_path / "cron.yaml"
    file.write_text(tiphys.to_yaml(made))
    assert argo_lint(file.read_text(), tmp_path) == ""
    assert not tiphys.lint(file)


def test_nothing_is_said_that_is_not_asked_for(nightly: Pipeline) -> None:
    spec = nightly.as_cron("@daily")["spec"]
    assert set(spec) == {"schedules", "concurrencyPolicy", "workflowMetadata", "workflowSpec"}
    assert spec["concurrencyPolicy"] == "Forbid"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "overlap": ({"overlap": "Allow"}, "TIP105"),
    "suspend": ({"suspend": "yes"}, "TIP105"),
    "deadline": ({"starting_deadline": "soon"}, "TIP115"),
    "negative": ({"keep_failed": -1}, "TIP109"),
    "bool": ({"keep_succeeded": True}, "TIP109"),
    "zone": ({"timezone": "Europe/Roma"}, "TIP109"),
    "braces": ({"when": "{{= true }}"}, "TIP109"),
    "expression": ({"stop_when": "cronworkflow.failed >="}, "TIP109"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_at_its_line(nightly: Pipeline, case: str) -> None:
    given, code = WRONG[case]
    with pytest.raises(DefinitionError) as caught:
        nightly.as_cron("@daily", **given)
    assert caught.value.code == code and "test_schedule.py" in caught.value.where and caught.value.fix


def test_a_list_of_schedules_is_told(nightly: Pipeline) -> None:
    with pytest.raises(DefinitionError) as caught:
        nightly.as_cron(["@daily"])  # type: ignore[arg-type]
    assert caught.value.code == "TIP109" and "one after the other" in caught.value.fix
