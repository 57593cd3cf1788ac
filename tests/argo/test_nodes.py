"""Types and phases of nodes have one home; steps are counted by one rule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tiphys.argo import nodes
from tiphys.argo.nodes import outputs_of
from tiphys.errors import RunError

CODE = Path(tiphys.__file__).parent
# argo-workflows v4.1.2, pkg/apis/workflow/v1alpha1/workflow_types.go
TYPES = {
    "Pod",
    "Container",
    "Steps",
    "StepGroup",
    "DAG",
    "TaskGroup",
    "Retry",
    "Skipped",
    "Suspend",
    "HTTP",
    "Plugin",
}
PHASES = {"Pending", "Running", "Succeeded", "Skipped", "Failed", "Error", "Omitted"}


def test_every_phase_is_active_or_ended() -> None:
    assert nodes.ACTIVE | nodes.ENDED == PHASES and not nodes.ACTIVE & nodes.ENDED
    assert nodes.COMPLETED | nodes.GOOD == nodes.ENDED


def test_every_type_holds_others_or_is_work_or_was_skipped() -> None:
    assert nodes.HOLDERS | nodes.WORK | {"Skipped"} == TYPES and not nodes.HOLDERS & nodes.WORK


@pytest.mark.parametrize(
    ("node", "step"),
    [
        ({"type": "Pod"}, True),
        ({"type": "Suspend"}, True),
        ({"type": "Retry"}, True),
        ({"type": "Pod", "nodeFlag": {"retried": True}}, False),
        ({"type": "Container"}, False),
        ({"type": "DAG"}, False),
        ({"type": "DAG", "memoizationStatus": {"hit": True}}, True),
        ({"type": "DAG", "memoizationStatus": {"hit": False}}, False),
    ],
)
def test_what_a_step_is(node: dict[str, object], step: bool) -> None:
    assert nodes.is_step(node) is step


def test_a_label_is_a_path_below_the_workflow() -> None:
    cached = {"name": "wf.cnn.train.run", "templateName": "train-run"}
    assert nodes.label(cached, "wf") == "cnn.train"
    assert (
        nodes.label({**cached, "templateName": "", "templateRef": {"template": "train-run"}}, "wf")
        == "cnn.train"
    )
    assert nodes.label({**cached, "name": "wf.cnn.train.run(1)"}, "wf") == "cnn.train(1)"
    assert nodes.label({"name": "wf.dry.run", "templateName": "walk"}, "wf") == "dry.run"
    assert nodes.label({"name": "wf"}, "wf") == "wf"
    assert nodes.label({"name": "wf(0)"}, "wf") == "wf(0)"


def test_no_other_module_keeps_a_set_of_types_or_phases() -> None:
    kept = re.compile(
        r"(frozenset\([\[({]|= \{)\"(DAG|Steps|StepGroup|TaskGroup|Pod|Succeeded|Failed|Error|Pending)\", \""
    )
    found = [
        f"{path.relative_to(CODE)}:{number}"
        for path in sorted(CODE.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if kept.search(line)
    ]
    assert [place for place in found if not place.startswith("argo/nodes.py")] == []


def test_outputs_are_those_of_a_step_by_its_path() -> None:
    nodes = {
        "a": {
            "name": "w.b.train",
            "type": "Retry",
            "outputs": {"parameters": [{"name": "x", "value": "{\u2060{1}}"}]},
        },
        "c": {"name": "w.b.train(0)", "type": "Pod", "nodeFlag": {"retried": True}},
        "d": {"name": "w.skipped", "type": "Skipped"},
    }
    workflow: Any = {"metadata": {"name": "w"}, "status": {"nodes": nodes}}
    assert outputs_of(workflow, "b.train") == {"x": "{{1}}"}
    assert outputs_of(workflow, "skipped") == {}
    with pytest.raises(RunError, match=r"TIP209: w has no step 'b\.trian'\. Did you mean 'b\.train'"):
        outputs_of(workflow, "b.trian")
