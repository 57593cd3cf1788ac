"""Parameters of workflows: a type is guessed only where the text stays as it is."""

from __future__ import annotations

import json

import pytest

from tests.importing.flows import flow, imported
from tiphys.importing.argo_parameters import guessed

STEPS = """    steps:
    - - {name: a, template: say, arguments: {parameters: [{name: text, value: "{{workflow.parameters.x}}"}]}}
"""


@pytest.mark.parametrize(
    "text", ["3", "-1.5", "[1,2]", '{"a":1}', "007", "1e3", "3.10", "[1, 2]", "null", "hello", ""]
)
def test_a_guess_has_the_same_text(text: str) -> None:
    made = guessed(text)
    assert made == text or json.dumps(made, separators=(",", ":")) == text


@pytest.mark.parametrize("said", ["3", '"3"', "true", '"yes"', "0.10", '"[1,2]"', '"a: b"', "1e3"])
def test_the_value_of_a_parameter_stays_the_text_that_argo_reads(said: str) -> None:
    from tiphys.argo.reader import read_text
    from tiphys.importing.argo_graph import text_of_value

    text = flow(STEPS, spec=f"  arguments: {{parameters: [{{name: x, value: {said}}}]}}\n")
    _, compiled = imported(text)
    before = read_text(text)[0].data["spec"]["arguments"]["parameters"][0]["value"]
    assert compiled["spec"]["arguments"]["parameters"][0]["value"] == text_of_value(before)


def test_choices_and_what_has_no_word() -> None:
    spec = "  arguments: {parameters: [{name: x, value: b, enum: [a, b], description: which}]}\n"
    made, compiled = imported(flow(STEPS, spec=spec))
    assert 'choices=["a", "b"]' in made.source
    assert compiled["spec"]["arguments"]["parameters"][0]["enum"] == ["a", "b"]
    source = "valueFrom: {configMapKeyRef: {name: c, key: k}}"
    made, compiled = imported(flow(STEPS, spec=f"  arguments: {{parameters: [{{name: x, {source}}}]}}\n"))
    assert compiled["spec"]["arguments"]["parameters"][0]["valueFrom"]["configMapKeyRef"]["name"] == "c"
    assert [each.what for each in made.told if "valueFrom" in each.why] == ["the arguments of the workflow"]
