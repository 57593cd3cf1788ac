"""Hooks of steps and tasks: arguments, what is missing in them, hooks without an expression (Argo 4.1.2, hooks.go)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.machine.driving import drive, named, phases
from tiphys.engine.machine import protocol as p

Json = Any
PLACE = {"s3": {"bucket": "b", "key": "a.tgz"}}
SPEC = """
entrypoint: main
templates:
- name: main
  {group}
- name: make
  container: {{image: i}}
  outputs: {{parameters: [{{name: p, valueFrom: {{path: /p}}}}], artifacts: [{{name: out, path: /o}}]}}
- name: told
  inputs: {{parameters: [{{name: x, default: none}}], artifacts: [{{name: in, path: /in, optional: true}}]}}
  container: {{image: i, args: ["{{{{inputs.parameters.x}}}}"]}}
"""
STEPS = SPEC.format(group="steps: [[{{name: a, template: make, hooks: {{{hook}}}}}]]".format(hook="HOOK"))
TASKS = SPEC.format(
    group="dag: {{tasks: [{{name: a, template: make, hooks: {{{hook}}}}}]}}".format(hook="HOOK")
)


def ran(text: str) -> tuple[Any, dict[str, p.StartPod]]:
    """The machine at its end, and what its pods were started with."""
    started: dict[str, p.StartPod] = {}

    def pod(command: p.StartPod) -> tuple[float, p.PodFinished]:
        started[command.node_name] = command
        outputs: dict[str, Json] = {"exitCode": "0"}
        if command.template.get("outputs"):
            outputs |= {"parameters": [{"name": "p", "value": "v"}], "artifacts": [{"name": "out", **PLACE}]}
        return 1.0, p.PodFinished(0, command.node_id, "Succeeded", "", outputs)

    return drive(text, pod), started


@pytest.mark.parametrize(("text", "family"), [(STEPS, "steps"), (TASKS, "tasks")])
def test_an_exit_hook_takes_values_and_artifacts_of_its_step(text: str, family: str) -> None:
    outputs = f"{family}.a.outputs"
    arguments = (
        f"parameters: [{{name: x, value: '{{{{{outputs}.parameters.p}}}}'}}], "
        f"artifacts: [{{name: in, from: '{{{{{outputs}.artifacts.out}}}}'}}]"
    )
    made, started = ran(text.replace("HOOK", f"exit: {{template: told, arguments: {{{arguments}}}}}"))
    assert made.phase == "Succeeded", made.message
    (hook,) = (command for name, command in started.items() if name.endswith("a.onExit"))
    assert hook.template["container"]["args"] == ["v"]
    (artifact,) = hook.template["inputs"]["artifacts"]
    assert artifact["s3"] == PLACE["s3"]


@pytest.mark.parametrize("text", [STEPS, TASKS])
def test_an_artifact_that_lies_somewhere_needs_no_step(text: str) -> None:
    arguments = "artifacts: [{name: in, raw: {data: hi}}]"
    made, started = ran(text.replace("HOOK", f"exit: {{template: told, arguments: {{{arguments}}}}}"))
    assert made.phase == "Succeeded", made.message
    (hook,) = (command for name, command in started.items() if name.endswith("a.onExit"))
    assert hook.template["inputs"]["artifacts"][0]["raw"] == {"data": "hi"}


@pytest.mark.parametrize("text", [STEPS, TASKS])
def test_a_hook_that_is_no_exit_hook_must_say_when(text: str) -> None:
    made, started = ran(text.replace("HOOK", "soon: {template: told}"))
    assert all("hooks" not in name for name in started)
    messages = [node.get("message", "") for node in made.nodes.values()] + [made.message]
    assert any("Expression required for hook" in message for message in messages)


@pytest.mark.parametrize("text", [STEPS, TASKS])
def test_a_hook_runs_once_when_its_expression_holds(text: str) -> None:
    family = "steps" if text is STEPS else "tasks"
    hook = f"soon: {{template: told, expression: \"{family}.a.status == 'Succeeded'\"}}"
    made, started = ran(text.replace("HOOK", hook))
    assert made.phase == "Succeeded", made.message
    assert [name.rpartition(".a.")[2] for name in started if "hooks" in name] == ["hooks.soon"]
    assert next(phase for name, phase in phases(made).items() if name.endswith("hooks.soon")) == "Succeeded"


@pytest.mark.parametrize("text", [STEPS, TASKS])
def test_an_expression_that_does_not_hold(text: str) -> None:
    family = "steps" if text is STEPS else "tasks"
    made, started = ran(
        text.replace("HOOK", f"soon: {{template: told, expression: \"{family}.a.status == 'Failed'\"}}")
    )
    assert made.phase == "Succeeded"
    assert [name for name in started if "hooks" in name] == []


@pytest.mark.parametrize("text", [STEPS, TASKS])
def test_an_expression_that_cannot_be_read(text: str) -> None:
    made, _ = ran(text.replace("HOOK", 'soon: {template: told, expression: "1 +"}'))
    messages = [node.get("message", "") for node in made.nodes.values()] + [made.message]
    assert any("unexpected token" in message for message in messages)


def test_a_missing_artifact_of_an_exit_hook_is_told() -> None:
    arguments = "artifacts: [{name: in, from: '{{steps.a.outputs.artifacts.none}}'}]"
    made, started = ran(STEPS.replace("HOOK", f"exit: {{template: told, arguments: {{{arguments}}}}}"))
    assert all("onExit" not in name for name in started)
    messages = [node.get("message", "") for node in made.nodes.values()] + [made.message]
    assert any("steps.a.outputs.artifacts.none" in message for message in messages)
    assert named(made, "wf[0].a")["phase"] in ("Error", "Succeeded")
