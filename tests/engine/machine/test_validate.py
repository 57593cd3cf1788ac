"""What Argo's controller finds before it starts: ``invalid spec: …`` and no nodes."""

from __future__ import annotations

import pytest

from tests.engine.machine.driving import drive

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
    made = drive(text)
    assert (made.phase, made.message) == ("Failed", f"invalid spec: {message}")
    assert made.nodes == {}


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
