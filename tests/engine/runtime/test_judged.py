"""What Argo's controller finds before it starts: ``invalid spec: …`` and no nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tiphys.engine import RunOptions, run
from tiphys.engine.runtime.judged import judged
from tiphys.errors import RefusedError


def of(spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "wf"},
        "spec": spec,
    }


LEAF = """
- name: leaf
  inputs: {parameters: [{name: x}]}
  container: {image: i}
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # worded by the real controller (its record of Argo's own cases)
        (
            "entrypoint: abc\ntemplates:\n- name: abc\n  dag: {tasks: [{name: a, template: leaf}]}" + LEAF,
            "templates.abc.tasks.a templates.leaf inputs.parameters.x was not supplied",
        ),
        (
            "entrypoint: m\ntemplates:\n- name: m\n  steps: [[{name: c, templateRef: {name: w, template: t}}]]\n",
            "templates.m.steps[0].c template reference w.t not found",
        ),
        (
            "entrypoint: m\nonExit: bye\ntemplates:\n- name: m\n  container: {image: i}\n- name: bye\n",
            "template 'bye' type is unknown",
        ),
        ("entrypoint: nowhere\ntemplates: []\n", "template name 'nowhere' undefined"),
    ],
)
def test_invalid(text: str, message: str) -> None:
    assert judged(of(yaml.safe_load(text)), []) == message


@pytest.mark.parametrize(
    "text",
    [
        "entrypoint: m\ntemplates: [null, {name: m, suspend: {duration: 0}}]\n",
        "entrypoint: m\ntemplates: [{name: m, steps: [[null]]}]\n",
        "entrypoint: m\narguments: {parameters: [null]}\ntemplates: [{name: m, suspend: {duration: 0}}]\n",
        "entrypoint: m\ntemplates: [{name: m, dag: {tasks: [null]}}]\n",
        "entrypoint: m\ntemplates: [{name: m, container: {image: i}, inputs: {parameters: [null]}}]\n",
        "entrypoint: m\ntemplates: [{name: m, container: {image: i}, outputs: {artifacts: [null]}}]\n",
    ],
)
def test_a_null_in_a_list_is_an_item_without_a_name(text: str, tmp_path: Path) -> None:
    options = RunOptions(store=tmp_path, images={"i": "host"})
    null, empty = (
        run(of(yaml.safe_load(each)), options=options) for each in (text, text.replace("null", "{}"))
    )
    assert null.phase == "Failed" and null.message == empty.message
    assert null.message.startswith("invalid spec: ") and "None" not in null.message


def test_a_run_without_a_verdict_asks_for_it(tmp_path: Path) -> None:
    result = run(of({"entrypoint": "nowhere", "templates": []}), options=RunOptions(store=tmp_path))
    assert (result.phase, result.message) == ("Failed", "invalid spec: template name 'nowhere' undefined")
    assert not result.workflow["status"].get("nodes")


def test_a_reference_is_found_whatever_its_namespace(tmp_path: Path) -> None:
    """A run has one namespace only; what was given with it is there."""
    call = {"name": "c", "templateRef": {"name": "w", "template": "t"}}
    flow = of({"entrypoint": "m", "templates": [{"name": "m", "steps": [[call]]}]})
    shared = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "w", "namespace": "other"},
        "spec": {"templates": [{"name": "t", "container": {"image": "i", "command": ["true"]}}]},
    }
    assert judged(flow, [shared]) == ""
    assert judged(flow, []) == "templates.m.steps[0].c template reference w.t not found"


def test_a_workflow_is_as_invalid_as_the_template_that_it_is_made_from() -> None:
    shared = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "w"},
        "spec": {
            "entrypoint": "m",
            "onExit": "bye",
            "templates": [{"name": "m", "suspend": {}}, {"name": "bye"}],
        },
    }
    flow = of({"workflowTemplateRef": {"name": "w"}})
    assert judged(flow, [shared]) == "template 'bye' type is unknown"
    assert judged(flow, []) == ""  # that it is missing is an Error of its own


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        judged(of({"entrypoint": ["m"]}), [])
    assert caught.value.code == "TIP298"


TAGGED = {
    "entrypoint": "m",
    "templates": [
        {"name": "m", "steps": [[{"name": "r-{{workflow.name}}", "template": "w"}]]},
        {"name": "w", "suspend": {"duration": "0"}},
    ],
}


def test_the_version_of_argo_that_is_meant_judges(tmp_path: Path) -> None:
    """Recorded from 4.0.5, which says its stand-in for the tag: own40/invalid.yaml, step-name-with-a-tag."""
    assert judged(of(TAGGED), []) == ""
    assert judged(of(TAGGED), [], "4.0").startswith("templates.m.steps[0].name")
    found = run(of(TAGGED), options=RunOptions(store=tmp_path, name="wf", argo="4.0"))
    assert found.message.startswith(
        "invalid spec: templates.m.steps[0].name 'r-{{workflow.name}}' is invalid: name"
    )
    assert run(of(TAGGED), options=RunOptions(store=tmp_path, name="new")).succeeded


def test_a_version_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as caught:
        run(of(TAGGED), options=RunOptions(store=tmp_path, argo="3.7"))  # type: ignore[arg-type]
    assert caught.value.code == "TIP215"
