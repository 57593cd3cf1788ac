"""Tags that values bring along: Argo reads a template twice, and the pod once more.

Source: argo-workflows v4.1.2, workflow/common/util.go (SubstituteParams), workflow/controller/workflowpod.go
(substitutePodParams), workflow/controller/operator.go (substituteGlobalVariables).
"""

from __future__ import annotations

import pytest

from tests.engine.machine.driving import NOW, drive, machine, phases
from tiphys.engine.machine import protocol as p

CHAIN = "{name: a, value: '{{workflow.parameters.b}}'}, {name: b, value: '{{workflow.parameters.c}}'}, \
{name: c, value: '{{workflow.parameters.d}}'}, {name: d, value: '{{workflow.name}}'}"


def pod(text: str) -> p.StartPod:
    """The first pod of a spec."""
    commands = machine(text).handle(p.Begin(NOW))
    return next(each for each in commands if isinstance(each, p.StartPod))


def printed(parameters: str, argument: str, inputs: str = "") -> str:
    """What the one pod of a workflow gets for its argument."""
    template = pod(
        f"""
        entrypoint: main
        arguments: {{parameters: [{parameters}]}}
        templates:
          - name: main
            {inputs}
            container: {{image: i, args: ["{argument}"]}}
        """
    ).template
    return str(template["container"]["args"][0])


@pytest.mark.parametrize(
    ("name", "right"),
    [("d", "wf"), ("c", "wf"), ("b", "{{workflow.name}}"), ("a", "{{workflow.parameters.d}}")],
)
def test_a_pod_is_read_three_times(name: str, right: str) -> None:
    assert printed(CHAIN, f"{{{{workflow.parameters.{name}}}}}") == right


def test_values_of_inputs_are_read_as_often() -> None:
    inputs = "inputs: {parameters: [{name: x, value: '{{workflow.parameters.d}}'}]}"
    assert printed(CHAIN, "{{inputs.parameters.x}}", inputs) == "wf"


def test_an_expression_takes_inputs_and_globals_together() -> None:
    inputs = "inputs: {parameters: [{name: x, value: hi}]}"
    assert printed("{name: a, value: b}", "{{=inputs.parameters.x + workflow.parameters.a}}", inputs) == "hib"


def test_the_name_of_the_pod_can_come_with_a_value() -> None:
    assert printed("{name: a, value: '{{pod.name}}'}", "{{workflow.parameters.a}}") == "wf"


def test_environment_and_script_are_part_of_the_pod() -> None:
    template = pod(
        """
        entrypoint: main
        arguments: {parameters: [{name: a, value: '{{workflow.parameters.b}}'}, {name: b, value: 's3://{{workflow.uid}}'}]}
        templates:
          - name: main
            script:
              image: i
              source: 'echo {{workflow.parameters.a}}'
              env: [{name: D, value: '{{workflow.parameters.a}}'}]
        """
    ).template
    assert template["script"]["source"] == "echo s3://uid"
    assert template["script"]["env"] == [{"name": "D", "value": "s3://uid"}]


def test_what_a_step_passes_on_is_read_again() -> None:
    made = drive(
        """
        entrypoint: main
        arguments: {parameters: [{name: a, value: '{{workflow.parameters.b}}'}, {name: b, value: '{{workflow.name}}'}]}
        templates:
          - name: main
            steps:
              - - name: s
                  template: say
                  arguments: {parameters: [{name: x, value: 'in {{workflow.parameters.a}}'}]}
          - name: say
            inputs: {parameters: [{name: x}]}
            container: {image: i, args: ["{{inputs.parameters.x}}"]}
        """
    )
    assert phases(made)["wf"] == "Succeeded"
    node = next(each for each in made.nodes.values() if each["displayName"] == "s")
    assert node["inputs"]["parameters"] == [{"name": "x", "value": "in wf"}]


def test_the_arguments_of_the_entrypoint_are_filled_before() -> None:
    """One reading more: the controller fills spec.arguments before it calls the entrypoint."""
    inputs = "inputs: {parameters: [{name: b}]}"
    assert printed(CHAIN, "{{inputs.parameters.b}}", inputs) == "wf"


def test_a_retried_template_is_read_for_every_attempt() -> None:
    inputs = "retryStrategy: {limit: 1}"
    assert printed(CHAIN, "{{workflow.parameters.a}}", inputs) == "wf"


def test_a_patch_of_the_workflow_knows_the_inputs_of_the_template() -> None:
    command = pod(
        """
        entrypoint: main
        podSpecPatch: '{"terminationGracePeriodSeconds": {{inputs.parameters.n}}, "hostname": "{{workflow.name}}"}'
        templates:
          - name: main
            inputs: {parameters: [{name: n, value: "7"}]}
            container: {image: i}
        """
    )
    assert command.patches == ('{"terminationGracePeriodSeconds": 7, "hostname": "wf"}',)


@pytest.mark.parametrize(
    ("inputs", "right"),
    [("", "null"), ("inputs: {artifacts: [{name: a, path: /a, raw: {data: x}}]}", "null"),
     ("inputs: {parameters: [{name: x, value: '1'}]}", '[{"name":"x","value":"1"}]')],
)  # fmt: skip
def test_all_inputs_at_once(inputs: str, right: str) -> None:
    """Hera's runner scripts ask for them, with inputs or without."""
    assert printed("{name: a, value: b}", "{{inputs.parameters}}", inputs) == right
