"""What a Workflow is run with: the template it refers to, its parameters, locks before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.machine.driving import NOW, drive, machine, named, parameter, phases
from tiphys.engine.machine import protocol as p
from tiphys.errors import TiphysError

Json = Any
ONE = """
templates:
- name: main
  inputs: {parameters: [{name: x, value: "{{workflow.parameters.x}}"}]}
  container: {image: i, args: ["{{inputs.parameters.x}}"]}
"""
FROM_MAP = """
entrypoint: main
arguments: {parameters: [{name: x, valueFrom: {configMapKeyRef: {name: c, key: k}}}]}
"""
TEMPLATE = """
---
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: shared}
spec:
  entrypoint: main
  onExit: bye
  arguments: {parameters: [{name: x, value: theirs}, {name: y, value: stays}]}
  templates:
  - {name: main, container: {image: i, args: ["{{workflow.parameters.x}}-{{workflow.parameters.y}}"]}}
  - {name: bye, container: {image: i}}
  - {name: other, container: {image: i, args: [other]}}
"""


def config(**data: str) -> str:
    lines = "".join(f"\n  {key}: {value!r}" for key, value in data.items())
    label = "labels: {workflows.argoproj.io/configmap-type: Parameter}"
    return f"\n---\nkind: ConfigMap\nmetadata: {{name: c, {label}}}\ndata: {lines}\n"


def given(made: Any) -> str | None:
    return parameter(named(made, "wf"), "inputs", "x")


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("{name: x, value: a}", "a"),
        ("{name: x, value: 5}", "5"),
        ("{name: x, value: true}", "true"),
        ("{name: x, value: a, default: d}", "a"),
        ("{name: x, valueFrom: {configMapKeyRef: {name: c, key: k}}}", "v"),
        ("{name: x, valueFrom: {configMapKeyRef: {name: c, key: none}, default: d}}", "d"),
        ("{name: x, enum: [a, b], value: b}", "b"),
    ],
)
def test_where_a_parameter_has_its_value_from(declared: str, value: str) -> None:
    made = drive(f"entrypoint: main\narguments: {{parameters: [{declared}]}}\n{ONE}{config(k='v')}")
    assert made.phase == "Succeeded", made.message
    assert given(made) == value


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("{name: x}", "invalid spec: spec.arguments.x.value or spec.arguments.x.valueFrom is required"),
        (
            "{name: x, default: d}",
            "invalid spec: spec.arguments.x.value or spec.arguments.x.valueFrom is required",
        ),
        (
            "{name: x, default: d, valueFrom: {supplied: {}}}",
            "failed to set global parameters: either value or valueFrom must be specified in order to set global "
            "parameter x",
        ),
    ],
)
def test_what_a_parameter_without_a_value_ends_with(declared: str, message: str) -> None:
    """Each was asked of the real controller (4.0.5): it never reads the ``default`` of a workflow's parameter."""
    made = drive(f"entrypoint: main\narguments: {{parameters: [{declared}]}}\n{ONE}")
    assert (made.phase, made.message, made.nodes) == ("Failed", message, {})
    assert (
        given(
            drive(
                f"entrypoint: main\narguments: {{parameters: [{declared}]}}\n{ONE}", parameters={"x": "mine"}
            )
        )
        == "mine"
    )


def test_what_is_given_comes_before_all_others() -> None:
    assert given(drive(FROM_MAP + ONE, parameters={"x": "mine"})) == "mine"


@pytest.mark.parametrize("refused", [{"nobody": "1"}, {"x": "z"}])
def test_what_cannot_be_given_is_refused_before_anything_runs(refused: dict[str, str]) -> None:
    text = f"entrypoint: main\narguments: {{parameters: [{{name: x, value: a, enum: [a, b]}}]}}\n{ONE}"
    with pytest.raises(TiphysError):
        machine(text, parameters=refused)


def test_a_config_map_that_is_not_there_ends_it() -> None:
    made = drive(FROM_MAP + ONE)
    assert made.phase in ("Error", "Failed") and made.nodes == {}
    assert "ConfigMap 'c' does not exist" in made.message


def test_a_spec_is_laid_over_the_template_it_refers_to() -> None:
    # docs/workflow-templates.md: what the Workflow says comes first, the rest is the template's
    made = drive(
        "workflowTemplateRef: {name: shared}\narguments: {parameters: [{name: x, value: mine}]}" + TEMPLATE
    )
    assert made.phase == "Succeeded", made.message
    assert phases(made) == {"wf": "Succeeded", "wf.onExit": "Succeeded"}
    stored = made.workflow()["status"]["storedWorkflowTemplateSpec"]
    values = {item["name"]: item["value"] for item in stored["arguments"]["parameters"]}
    assert values == {"x": "mine", "y": "stays"}


def test_an_entrypoint_of_its_own() -> None:
    made = drive("workflowTemplateRef: {name: shared}\nentrypoint: other" + TEMPLATE)
    assert named(made, "wf")["templateName"] == "other"


LOCKED = "entrypoint: main\nsynchronization: {mutexes: [{name: m}]}\ntemplates: [{name: main, container: {image: i}}]"


def test_locks_of_the_workflow_come_first_and_are_given_back() -> None:
    made = machine(LOCKED)
    (ask,) = made.handle(p.Begin(NOW))
    assert isinstance(ask, p.AcquireLocks) and (ask.node_id, ask.locks) == ("", ("argo/Mutex/m",))
    assert made.handle(p.LocksWaiting(NOW + 1, "", "Waiting for argo/Mutex/m lock. Lock status: 0/1")) == []
    assert (made.phase, made.message) == ("Pending", "Waiting for argo/Mutex/m lock. Lock status: 0/1")
    assert made.nodes == {}
    (start,) = made.handle(p.LocksGranted(NOW + 2, ""))
    assert isinstance(start, p.StartPod)
    commands = made.handle(p.PodFinished(NOW + 3, "wf", "Succeeded"))
    assert [type(command) for command in commands] == [p.ReleaseLocks, p.WorkflowFinished]


def test_locks_that_cannot_be_had_end_it() -> None:
    made = machine(LOCKED)
    made.handle(p.Begin(NOW))
    made.handle(p.LocksRefused(NOW + 1, "", "no such lock"))
    assert made.done and "no such lock" in made.message


def test_a_workflow_that_is_stopped_while_it_waits_for_its_locks() -> None:
    made = machine(LOCKED)
    made.handle(p.Begin(NOW))
    commands = made.handle(p.Shutdown(NOW + 1, "Stop"))
    assert [type(command) for command in commands] == [p.ReleaseLocks, p.WorkflowFinished]
    assert (made.phase, made.message) == ("Failed", "Stopped with strategy 'Stop'")
    assert made.handle(p.LocksGranted(NOW + 2, "")) == []


def test_the_same_lock_twice_is_refused_in_argos_words() -> None:
    made = drive(LOCKED.replace("{name: m}", "{name: m}, {name: m}"))
    assert (made.phase, made.message) == (
        "Failed",
        "Failed to acquire the synchronization lock. "
        "requested configuration is invalid: duplicate synchronization item found",
    )
