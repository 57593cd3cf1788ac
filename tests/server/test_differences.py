"""What somebody wants who writes a Workflow back, as workflow/util of Argo 4.1.2 does. What the real ``argo`` sends is
read in tests/cluster/test_server.py."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tiphys.server.differences import AskedChange, NodeAsked, wanted

RUNS: dict[str, Any] = {
    "metadata": {"name": "w", "resourceVersion": "7"},
    "spec": {
        "templates": [{"name": "ask", "suspend": {}}],
        "arguments": {"parameters": [{"name": "p", "value": "1"}]},
    },
    "status": {
        "phase": "Running",
        "nodes": {
            "w": {"id": "w", "type": "DAG", "phase": "Running"},
            "w-1": {
                "id": "w-1",
                "type": "Suspend",
                "phase": "Running",
                "outputs": {"parameters": [{"name": "answer", "valueFrom": {"supplied": {}}}]},
            },
            "w-2": {"id": "w-2", "type": "Pod", "phase": "Succeeded"},
        },
    },
}
ENDED: dict[str, Any] = copy.deepcopy(RUNS)
ENDED["status"].update(phase="Failed", finishedAt="2026-11-29T12:00:00Z")
ENDED["status"]["nodes"]["w-3"] = {"id": "w-3", "type": "Pod", "phase": "Failed"}


def _changed(before: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> Any:
    after = copy.deepcopy(before)
    change(after)
    return after


def _passed(workflow: dict[str, Any]) -> None:
    node = workflow["status"]["nodes"]["w-1"]
    node.update(phase="Succeeded", finishedAt="2026-11-29T12:00:00Z")


def _failed(workflow: dict[str, Any]) -> None:
    workflow["status"]["nodes"]["w-1"].update(phase="Failed", message="no")


def _supplied(workflow: dict[str, Any]) -> None:
    workflow["status"]["nodes"]["w-1"]["outputs"]["parameters"][0]["value"] = "yes"


def _normalised(workflow: dict[str, Any]) -> None:
    workflow["spec"]["templates"][0].update(inputs={}, outputs={}, metadata={})
    workflow["metadata"]["managedFields"] = []


def _retried(workflow: dict[str, Any]) -> None:
    workflow["status"].update(phase="Running", message="")
    del workflow["status"]["finishedAt"]
    del workflow["status"]["nodes"]["w-3"]


@pytest.mark.parametrize(
    ("before", "change", "asked"),
    [
        (RUNS, lambda w: None, AskedChange()),
        (RUNS, _normalised, AskedChange()),
        (RUNS, lambda w: w["spec"].update(suspend=True), AskedChange(suspend=True)),
        (RUNS, lambda w: w["spec"].update(shutdown="Stop"), AskedChange(shutdown="Stop")),
        (RUNS, lambda w: w["spec"].update(shutdown="Terminate"), AskedChange(shutdown="Terminate")),
        (RUNS, _passed, AskedChange(nodes=(NodeAsked("w-1", "Succeeded"),))),
        (RUNS, _failed, AskedChange(nodes=(NodeAsked("w-1", "Failed", "no"),))),
        (RUNS, _supplied, AskedChange(nodes=(NodeAsked("w-1", outputs={"answer": "yes"}),))),
        (ENDED, lambda w: None, AskedChange()),
        (ENDED, _retried, AskedChange(retry=True)),
    ],
)
def test_a_difference_is_a_verb(
    before: dict[str, Any], change: Callable[[Any], object], asked: AskedChange
) -> None:
    found = wanted(before, _changed(before, change))  # type: ignore[arg-type]
    assert found == asked


def test_a_suspended_one_goes_on() -> None:
    before = _changed(RUNS, lambda w: w["spec"].update(suspend=True))
    assert wanted(before, _changed(before, lambda w: w["spec"].pop("suspend"))).suspend is False


def test_a_retry_may_name_what_succeeded_and_other_parameters() -> None:
    def again(workflow: dict[str, Any]) -> None:
        _retried(workflow)
        del workflow["status"]["nodes"]["w-2"]
        workflow["spec"]["arguments"]["parameters"][0]["value"] = "2"

    found = wanted(ENDED, _changed(ENDED, again))  # type: ignore[arg-type]
    assert found == AskedChange(retry=True, restarted=("w-2",), parameters={"p": "2"})


def test_labels_and_annotations_change_but_for_what_the_status_says() -> None:
    before = _changed(RUNS, lambda w: w["metadata"].update(labels={"a": "1", "b": "1", "c": "1"}))

    def change(workflow: dict[str, Any]) -> None:
        workflow["metadata"]["labels"] = {"a": "1", "b": "2", "workflows.argoproj.io/completed": "true"}
        workflow["metadata"]["annotations"] = {"n": "x"}

    changed = {"b": "2", "c": None}
    assert wanted(before, _changed(before, change)) == AskedChange(labels=changed, annotations={"n": "x"})
    again = _changed(ENDED, _retried)
    again["metadata"]["labels"] = {**ENDED["metadata"].get("labels", {}), "a": "b"}  # type: ignore[typeddict-item]
    assert wanted(ENDED, again) == AskedChange(retry=True, labels={"a": "b"})
