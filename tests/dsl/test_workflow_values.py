"""What a run knows of itself, as its steps are told it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import tiphys
from tiphys import (
    Pipeline,
    component,
    scheduled_time,
    workflow_created,
    workflow_duration,
    workflow_failures,
    workflow_namespace,
    workflow_parameters,
    workflow_uid,
)
from tiphys.argo.cron import child_workflow
from tiphys.engine import RunOptions


@component
def told(uid: str, namespace: str, parameters: list[dict[str, str]]) -> str:
    return f"{uid} {namespace} {parameters[0]['name']}={parameters[0]['value']}"


@component
def when(due: datetime, created: datetime) -> str:
    return f"{due.isoformat()} {due == created}"


@component
def fail() -> None:
    raise SystemExit(3)


@component
def over(failures: list[dict[str, object]], seconds: float) -> list[str]:
    return sorted(str(each["displayName"]) for each in failures if seconds >= 0)


def ran(tmp_path: Path, workflow: Any) -> Any:
    options = RunOptions(store=tmp_path / "store", images={"*": "host"}, handle_signals=False)
    return tiphys.run(workflow, options=options).workflow


def value(workflow: Any, name: str) -> str:
    node = next(n for n in workflow["status"]["nodes"].values() if n["displayName"] == name)
    return str(node["outputs"]["parameters"][0]["value"])


def test_the_name_the_place_and_the_parameters(tmp_path: Path) -> None:
    with Pipeline("told") as pipeline:
        pipeline.param("rate", 0.5)
        told(uid=workflow_uid, namespace=workflow_namespace, parameters=workflow_parameters)
    assert not [f for f in tiphys.lint(pipeline) if f.severity == "error"]
    workflow = ran(tmp_path, pipeline)
    metadata = workflow["metadata"]
    assert value(workflow, "told") == f"{metadata['uid']} {metadata['namespace']} rate=0.5"


def test_an_exit_handler_is_told_what_failed(tmp_path: Path) -> None:
    for steps, failed in ((told, []), (fail, ["fail"])):
        with Pipeline("over") as pipeline:
            pipeline.param("rate", 0.5)
            if steps is told:
                told(uid="", namespace="", parameters=workflow_parameters)
            else:
                fail()
        with pipeline.exit_handler():
            over(failures=workflow_failures, seconds=workflow_duration)
        assert not [f for f in tiphys.lint(pipeline) if f.severity == "error"]
        found = value(ran(tmp_path, pipeline), "over")
        assert all(name in found for name in failed) and (found == "[]") == (not failed)


def test_a_schedule_says_for_when_and_without_one_it_is_now(tmp_path: Path) -> None:
    with Pipeline("due") as pipeline:
        when(due=scheduled_time, created=workflow_created)
    assert not [f for f in tiphys.lint(pipeline) if f.severity == "error"]
    by_hand = value(ran(tmp_path, pipeline), "when")
    assert by_hand.endswith("+00:00 True")
    by_schedule = child_workflow(pipeline.as_cron("@daily"), 86400.0)  # type: ignore[arg-type]
    assert value(ran(tmp_path, by_schedule), "when") == "1970-01-02T00:00:00+00:00 False"
