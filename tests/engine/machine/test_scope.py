"""What boundaries offer to their nodes: artifacts that are passed on, outputs of templates (Argo 4.1.2, scope.go)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.machine.driving import NOW, drive, machine, named, parameter
from tiphys.engine.machine import protocol as p

Json = Any
PLACE = {"s3": {"bucket": "b", "key": "runs/a.tgz"}}


def pod(command: p.StartPod) -> tuple[float, p.PodFinished]:
    """A pod whose outputs are what it declares: artifacts in a bucket, parameters called after themselves."""
    declared = command.template.get("outputs") or {}
    outputs: dict[str, Json] = {"exitCode": "0", "result": "[1, 2]"}
    if declared.get("artifacts"):
        outputs["artifacts"] = [
            {**item, **PLACE} for item in declared["artifacts"] if item["name"] != "absent"
        ]
    if declared.get("parameters"):
        outputs["parameters"] = [
            {"name": item["name"], "value": f"v-{item['name']}"} for item in declared["parameters"]
        ]
    return 1.0, p.PodFinished(0, command.node_id, "Succeeded", "", outputs)


def passed(argument: str, *, more: str = "") -> Json:
    """The input artifact ``in`` of a step that takes it so from the step before, None without one; or the message."""
    made = machine(
        f"""
entrypoint: main
templates:
- name: main
  steps:
  - - {{name: a, template: make}}
    - {{name: sk, template: make, when: "false"}}
  - - {{name: b, template: take, arguments: {{artifacts: [{{name: in, {argument}}}]}}}}
- name: make
  container: {{image: i}}
  outputs:
    parameters: [{{name: p, valueFrom: {{path: /p}}}}]
    artifacts: [{{name: out, path: /o}}, {{name: absent, path: /x, optional: true}}]
- {{name: take, inputs: {{artifacts: [{{name: in, path: /in{more}}}]}}, container: {{image: i}}}}
"""
    )
    commands = made.handle(p.Begin(NOW))
    (first,) = (command for command in commands if isinstance(command, p.StartPod))
    commands = made.handle(p.PodFinished(NOW + 1, first.node_id, *_end(first)))
    started = [command for command in commands if isinstance(command, p.StartPod)]
    if not started:
        return made.message
    return next(iter(started[0].template["inputs"].get("artifacts") or ()), None)


def _end(command: p.StartPod) -> tuple[Any, str, Json]:
    end = pod(command)[1]
    return end.phase, end.message, end.outputs


def test_an_artifact_is_passed_on_with_its_place() -> None:
    found = passed("from: '{{steps.a.outputs.artifacts.out}}'")
    assert found["s3"] == PLACE["s3"]
    assert (found["name"], found["path"]) == ("in", "/in")
    assert "from" not in found


def test_a_path_below_it_is_added_to_the_key() -> None:
    found = passed("from: '{{steps.a.outputs.artifacts.out}}', subPath: part/x")
    assert found["s3"] == {"bucket": "b", "key": "runs/a.tgz/part/x"}


def test_one_that_an_expression_chooses() -> None:
    text = "\"steps.a.status == 'Succeeded' ? steps.a.outputs.artifacts.out : nil\""
    assert passed(f"fromExpression: {text}")["s3"] == PLACE["s3"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("from: '{{steps.a.outputs.artifacts.none}}'", "steps.a.outputs.artifacts.none"),
        ("fromExpression: 'nil'", "Unable to resolve: nil"),
        ("fromExpression: 'steps.a.outputs.artifacts.('", "unable to evaluate expression"),
        ("from: '{{steps.sk.outputs.artifacts.out}}'", "inputs.artifacts.in was not supplied"),
    ],
)
def test_one_that_is_not_there_is_an_error(argument: str, message: str) -> None:
    assert message in passed(argument)


@pytest.mark.parametrize(
    "argument",
    ["from: '{{steps.a.outputs.artifacts.none}}', optional: true", "fromExpression: 'nil', optional: true"],
)
def test_unless_it_is_optional(argument: str) -> None:
    found = passed(argument, more=", optional: true")
    assert found is None or not set(found) & {"s3", "from"}


def outputs(declared: str, steps: str = "- - {name: a, template: make}") -> Any:
    """The machine of steps that offer these outputs."""
    return drive(
        f"""
entrypoint: main
templates:
- name: main
  steps:
  {steps}
  outputs: {declared}
- name: make
  container: {{image: i}}
  outputs: {{parameters: [{{name: p, valueFrom: {{path: /p}}}}], artifacts: [{{name: out, path: /o}}]}}
""",
        pod,
    )


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{parameter: '{{steps.a.outputs.parameters.p}}'}", "v-p"),
        ("{parameter: steps.a.outputs.parameters.p}", "v-p"),
        ("{parameter: '{{steps.a.status}}'}", "Succeeded"),
        ("{parameter: '{{steps.a.outputs.none}}', default: d}", "d"),
        ("{expression: \"steps.a.outputs.parameters.p + '!'\"}", "v-p!"),
        ("{expression: '[1, 2.5]'}", "[1,2.5]"),
        ("{expression: 'nil', default: 5}", "5"),
    ],
)
def test_a_template_offers_what_its_steps_made(source: str, value: str) -> None:
    made = outputs(f"{{parameters: [{{name: o, valueFrom: {source}}}]}}")
    assert made.phase == "Succeeded", made.message
    assert parameter(named(made, "wf"), "outputs", "o") == value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{parameter: '{{steps.a.outputs.none}}'}", 'Unable to resolve: "steps.a.outputs.none"'),
        ("{expression: 'nil'}", 'failed to evaluate expression "nil"'),
        ("{expression: 'steps.a.('}", "unexpected token"),
    ],
)
def test_what_it_cannot_offer_is_an_error(source: str, message: str) -> None:
    made = outputs(f"{{parameters: [{{name: o, valueFrom: {source}}}]}}")
    assert made.phase in ("Error", "Failed")
    assert message in made.message


def test_artifacts_of_a_template() -> None:
    made = outputs(
        "{artifacts: [{name: o, from: '{{steps.a.outputs.artifacts.out}}', globalName: g}, "
        "{name: n, from: '{{steps.a.outputs.artifacts.none}}', optional: true}]}"
    )
    assert made.phase == "Succeeded", made.message
    (found,) = named(made, "wf")["outputs"]["artifacts"]
    assert (found["name"], found["s3"], found["globalName"]) == ("o", PLACE["s3"], "g")


def test_an_artifact_that_is_not_there_is_an_error() -> None:
    made = outputs("{artifacts: [{name: n, from: '{{steps.a.outputs.artifacts.none}}'}]}")
    assert made.phase in ("Error", "Failed")
    assert "unable to resolve outputs from scope" in made.message


GIVES_NOTHING = "outputs: {parameters: [{name: r, valueFrom: {supplied: {}, default: ''}}]}"


@pytest.mark.parametrize(
    ("spec", "name", "kind"),
    [
        # workflow/controller/steps.go (expandStepGroup): what has no list any more is a step like another
        (
            "steps: [[{name: a, template: nothing}], [{name: b, template: nap, withParam: "
            "'{{steps.a.outputs.parameters.r}}'}]]",
            "wf[1].b",
            "Suspend",
        ),
        # workflow/controller/dag.go (expandTask); recorded from 4.0.5, whose code is the same: dag-skipped-with-param
        (
            "dag: {tasks: [{name: a, template: nothing}, {name: b, depends: a, template: nap, withParam: "
            "'{{tasks.a.outputs.parameters.r}}'}]}",
            "wf.b",
            "TaskGroup",
        ),
    ],
)
def test_a_list_that_comes_out_as_an_empty_text(spec: str, name: str, kind: str) -> None:
    made = drive(
        f"""
entrypoint: main
templates:
- {{name: main, {spec}}}
- {{name: nap, suspend: {{duration: "0"}}}}
- {{name: nothing, suspend: {{duration: "0"}}, {GIVES_NOTHING}}}
"""
    )
    assert made.phase == "Succeeded"
    assert named(made, name)["type"] == kind


def test_the_value_of_an_argument_goes_before_where_it_would_come_from() -> None:
    """workflow/common/util.go (overwriteWithArguments); recorded from 4.0.5: value-and-value-from-of-an-argument."""
    made = drive(
        """
entrypoint: main
templates:
- name: main
  steps:
  - - name: a
      template: nap
      arguments: {parameters: [{name: x, value: here, valueFrom: {configMapKeyRef: {name: nowhere, key: k}}}]}
- {name: nap, inputs: {parameters: [{name: x}]}, suspend: {duration: "0"}}
"""
    )
    assert made.phase == "Succeeded"
    assert parameter(named(made, "wf[0].a"), "inputs", "x") == "here"
