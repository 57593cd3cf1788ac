"""Exit handlers, hooks, suspend and resume, stop and terminate, deadlines, invalid workflows."""

from __future__ import annotations

import pytest

from tests.engine.machine.driving import NOW, drive, machine, named, parameter, phases
from tiphys.engine.machine import protocol as p
from tiphys.errors import RefusedError

ONE = """
entrypoint: main
templates:
- name: main
  container: {image: i, args: [ARGS]}
"""


def test_on_exit_runs_after_a_failure_and_knows_the_status() -> None:
    made = drive(
        ONE.replace("ARGS", "fail")
        + """
- name: bye
  inputs: {parameters: [{name: x, value: "{{workflow.status}}"}]}
  container: {image: i}
onExit: bye
"""
    )
    assert (made.phase, made.message) == ("Failed", "main: Error (exit code 1)")
    assert parameter(named(made, "wf.onExit"), "inputs", "x") == "Failed"


def test_a_failed_exit_handler_fails_the_workflow() -> None:
    made = drive(
        ONE.replace("ARGS", "hi") + "- name: bye\n  container: {image: i, args: [fail]}\nonExit: bye\n"
    )
    assert phases(made) == {"wf": "Succeeded", "wf.onExit": "Failed"}
    assert made.phase == "Failed"


def test_an_exit_hook_of_a_task_comes_before_its_dependants() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  dag:
    tasks:
    - name: a
      template: say
      hooks:
        exit: {template: say, arguments: {parameters: [{name: x, value: "{{tasks.a.status}}"}]}}
        running: {template: say, expression: "tasks.a.status == 'Running'"}
    - {name: b, template: say, depends: a}
- name: say
  inputs: {parameters: [{name: x, default: d}]}
  container: {image: i}
"""
    )
    assert set(phases(made)) == {"wf", "wf.a", "wf.a.onExit", "wf.a.hooks.running", "wf.b"}
    assert parameter(named(made, "wf.a.onExit"), "inputs", "x") == "Succeeded"
    assert named(made, "wf.a.onExit")["nodeFlag"] == {"hooked": True}
    assert named(made, "wf.b")["startedAt"] >= named(made, "wf.a.onExit")["finishedAt"]


def test_suspend_waits_for_values() -> None:
    made = machine(
        """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: ask, template: ask}
  - - {name: go, template: go, when: "{{steps.ask.outputs.parameters.answer}} == yes"}
- name: ask
  suspend: {}
  outputs: {parameters: [{name: answer, valueFrom: {supplied: {}, default: no}}]}
- name: go
  container: {image: i}
"""
    )
    made.handle(p.Begin(NOW))
    assert phases(made)["wf[0].ask"] == "Running"
    made.handle(p.NodeSet(NOW, "displayName=ask", output_parameters={"answer": "yes"}))
    commands = made.handle(p.Resume(NOW, "displayName=ask"))
    assert [type(command) for command in commands] == [p.StartPod]


@pytest.mark.parametrize(
    ("selector", "goes_on"),
    [
        ("displayName!=other", ["approve"]),
        ("phase==Running,templateName=gate", ["approve", "other"]),
        ("templateRef.name=x", []),
        ("type=Suspend", []),  # what Argo does not know is empty
        ("type!=Suspend", ["approve", "other"]),
        ("inputs.parameters.who.value=me", ["other"]),
        ("", ["approve", "other"]),
    ],
)
def test_a_selector_names_the_gates_that_open(selector: str, goes_on: list[str]) -> None:
    made = machine(
        """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: approve, template: gate}
    - {name: other, template: gate, arguments: {parameters: [{name: who, value: me}]}}
- name: gate
  inputs: {parameters: [{name: who, value: you}]}
  suspend: {}
"""
    )
    made.handle(p.Begin(NOW))
    made.handle(p.Resume(NOW, selector))
    found = phases(made)
    assert [name for name in ("approve", "other") if found[f"wf[0].{name}"] == "Succeeded"] == goes_on


def test_suspending_the_workflow_lets_nothing_new_start() -> None:
    made = machine(
        """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: a, template: say}
  - - {name: b, template: say}
- name: say
  container: {image: i}
"""
    )
    [first] = made.handle(p.Begin(NOW))
    made.handle(p.Suspend(NOW))
    assert isinstance(first, p.StartPod)
    assert made.handle(p.PodFinished(NOW, first.node_id, "Succeeded")) == []
    [second] = made.handle(p.Resume(NOW))
    assert isinstance(second, p.StartPod)
    assert second.node_name == "wf[1].b"


def test_stop_ends_pods_and_runs_the_exit_handler_terminate_does_not() -> None:
    spec = ONE.replace("ARGS", "hi") + "- name: bye\n  container: {image: i}\nonExit: bye\n"
    for strategy, exit_handler in (("Stop", True), ("Terminate", False)):
        made = machine(spec)
        [pod] = made.handle(p.Begin(NOW))
        assert isinstance(pod, p.StartPod)
        made.handle(p.PodRunning(NOW, pod.node_id))
        [stop] = made.handle(p.Shutdown(NOW, strategy))  # type: ignore[arg-type]
        assert isinstance(stop, p.StopPod)
        made.handle(p.PodFinished(NOW, pod.node_id, "Failed", "main: Error (exit code 143)"))
        assert ("wf.onExit" in phases(made)) is exit_handler
        if exit_handler:
            made.handle(p.PodFinished(NOW, named(made, "wf.onExit")["id"], "Succeeded"))
        assert (made.phase, made.message) == ("Failed", f"Stopped with strategy '{strategy}'")


def test_deadlines_reach_the_pod() -> None:
    made = machine(
        ONE.replace("ARGS", "hi").replace("  container", "  activeDeadlineSeconds: 7\n  container")
    )
    [pod] = made.handle(p.Begin(NOW))
    assert isinstance(pod, p.StartPod)
    assert pod.deadline == NOW + 7
    assert pod.deadline_message == "Pod was active on the node longer than the specified deadline"


def test_a_parameter_without_a_value_ends_as_argo_says() -> None:
    made = drive(ONE.replace("ARGS", "hi") + "arguments: {parameters: [{name: message}]}\n")
    assert made.phase == "Failed"
    assert (
        made.message
        == "invalid spec: spec.arguments.message.value or spec.arguments.message.valueFrom is required"
    )
    assert made.nodes == {}


def test_parameters_that_the_workflow_does_not_have_are_refused() -> None:
    with pytest.raises(RefusedError, match="Did you mean 'epochs'") as caught:
        machine(ONE + "arguments: {parameters: [{name: epochs, value: 3}]}\n", parameters={"epoch": "4"})
    assert caught.value.code == "TIP280"


def test_plugins_are_refused_before_anything_runs() -> None:
    with pytest.raises(RefusedError) as caught:
        machine("entrypoint: main\ntemplates:\n- name: main\n  plugin: {hello: {}}\n")
    assert caught.value.code == "TIP231"


def test_a_missing_workflow_template_is_an_error_with_no_nodes() -> None:
    made = drive("workflowTemplateRef: {name: nowhere}\n")
    assert (made.phase, made.message) == ("Error", 'workflowtemplates.argoproj.io "nowhere" not found')


def test_templates_kept_elsewhere() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: a, templateRef: {name: kept, template: outer}}
---
kind: WorkflowTemplate
metadata: {name: kept}
spec:
  templates:
  - name: outer
    steps:
    - - {name: b, template: leaf}
  - name: leaf
    container: {image: i}
"""
    )
    assert made.phase == "Succeeded"
    assert named(made, "wf[0].a[0].b")["templateScope"] == "namespaced/kept"
    assert set(made.workflow()["status"]["storedTemplates"]) == {
        "namespaced/kept/outer",
        "namespaced/kept/leaf",
    }


def test_late_and_doubled_events_do_no_harm() -> None:
    made = drive(ONE.replace("ARGS", "hi"))
    before = made.workflow()
    assert made.handle(p.PodFinished(NOW + 99, "wf", "Failed", "late")) == []
    assert made.workflow() == before


def test_workflow_metadata_becomes_labels_and_variables() -> None:
    made = drive(
        """
entrypoint: main
arguments: {parameters: [{name: team, value: blue}]}
workflowMetadata:
  labels: {fixed: x}
  labelsFrom: {team: {expression: workflow.parameters.team}}
templates:
- name: main
  inputs: {parameters: [{name: x, value: "{{workflow.labels.team}}-{{workflow.labels.fixed}}"}]}
  container: {image: i}
"""
    )
    assert parameter(named(made, "wf"), "inputs", "x") == "blue-x"
    labels = made.workflow()["metadata"]["labels"]
    assert (labels["fixed"], labels["team"]) == ("x", "blue")


def test_a_workflow_submitted_suspended_waits_for_resume() -> None:
    made = machine(ONE.replace("ARGS", "hi") + "suspend: true\n")
    assert made.handle(p.Begin(NOW)) == []
    [pod] = made.handle(p.Resume(NOW))
    assert isinstance(pod, p.StartPod)


def test_an_artifact_plugin_is_an_error() -> None:
    made = drive(
        ONE.replace("ARGS", "hi")
        + "  outputs: {artifacts: [{name: a, path: /a, plugin: {name: mine, configuration: x}}]}\n"
    )
    assert (made.phase, named(made, "wf")["message"]) == ("Error", "artifact driver mine not found")


HOOK = """
entrypoint: main
hooks:
  exit:
    template: say
    arguments: {parameters: [{name: x, value: "{{=workflow.status == 'Succeeded' ? 'good' : 'bad'}}"}]}
templates:
- name: main
  steps:
  - - name: one
      template: make
      hooks:
        exit:
          template: say
          arguments:
            parameters:
            - name: x
              value: "{{=steps.one.status == 'Failed' ? 'no' : 'ok'}} {{=workflow.outputs?.parameters?.g ?? 'none'}}"
- name: make
  outputs: {parameters: [{name: o, valueFrom: {path: /tmp/o}, globalName: g}]}
  container: {image: i, args: [hi]}
- name: say
  inputs: {parameters: [{name: x}]}
  container: {image: i, args: ["{{inputs.parameters.x}}"]}
"""


def test_arguments_of_exit_hooks_that_are_expressions() -> None:
    """Seen on the real controller: the workflow's hook need not get its inputs from spec.arguments."""
    made = drive(HOOK)
    assert made.phase == "Succeeded", made.message
    assert parameter(named(made, "wf.onExit"), "inputs", "x") == "good"
    assert parameter(named(made, "wf[0].one.onExit"), "inputs", "x") == "ok hi"


def test_on_exit_comes_before_the_exit_hook() -> None:
    made = drive(
        HOOK.replace("templates:\n", "onExit: bye\ntemplates:\n- {name: bye, container: {image: i}}\n", 1)
    )
    assert named(made, "wf.onExit")["templateName"] == "bye"
