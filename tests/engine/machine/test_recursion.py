"""Templates that call themselves."""

from __future__ import annotations

from tests.engine.machine.driving import drive


def test_recursion_is_valid() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  inputs: {parameters: [{name: n, value: "3"}]}
  steps:
  - - name: again
      template: main
      when: "{{inputs.parameters.n}} > 1"
      arguments: {parameters: [{name: n, value: "{{=asInt(inputs.parameters.n) - 1}}"}]}
"""
    )
    assert made.phase == "Succeeded"
    assert sum(1 for node in made.nodes.values() if node["type"] == "Steps") == 3


def test_endless_recursion_ends_at_the_depth_that_argo_allows() -> None:
    made = drive("entrypoint: m\ntemplates:\n- name: m\n  steps: [[{name: s, template: m}]]\n")
    assert made.phase == "Failed"
    assert sum(1 for node in made.nodes.values() if node["type"] == "Steps") == 100
    assert any(node.get("message") == "Maximum recursion depth exceeded" for node in made.nodes.values())
