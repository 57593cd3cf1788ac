"""Templates in Argo's own words, parts of a spec in Argo's words, and conditions in Argo's words."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys import DefinitionError, Pipeline, argo_template, component, raw, to_yaml
from tiphys.argo.reader import read_text

TEXT = """
name: Say_it
metadata: {labels: {a: b}}
inputs: {parameters: [{name: some-text, default: hi}]}
container: {image: "alpine:3.20", command: [echo, "{{inputs.parameters.some-text}}"]}
"""


@component
def shout(text: str) -> str:
    return text.upper()


def compiled(pipeline: Pipeline) -> Any:
    return read_text(to_yaml(pipeline))[0].data


def test_a_kept_template_is_a_step_and_stays_as_it_is() -> None:
    say = argo_template(TEXT)
    with Pipeline("kept") as pipeline:
        said = say(some_text="x").named("first")
        shout(text=said.result).when(raw("{{tasks.first.outputs.result}} =~ x"))
    found = compiled(pipeline)
    by_name = {each["name"]: each for each in found["spec"]["templates"]}
    assert by_name["Say_it"] == read_text(TEXT)[0].data
    tasks = {each["name"]: each for each in by_name["main"]["dag"]["tasks"]}
    assert tasks["shout"]["when"] == "{{tasks.first.outputs.result}} =~ x"
    assert tasks["shout"]["depends"] == "first"


def test_what_a_template_names_comes_along_and_so_does_what_nobody_calls() -> None:
    say = argo_template(TEXT)
    group = argo_template({"name": "group", "steps": [[{"name": "s", "template": "Say_it"}]]}, uses=[say])
    with Pipeline("kept", entrypoint="group", patch={"securityContext": None, "parallelism": 3}) as pipeline:
        pass
    pipeline.templates += [group, argo_template({"name": "other", "suspend": {}})]
    spec = compiled(pipeline)["spec"]
    assert [each["name"] for each in spec["templates"]] == ["group", "Say_it", "other"]
    assert spec["parallelism"] == 3 and "securityContext" not in spec


@pytest.mark.parametrize("text", ["a: [", "- a", "container: {image: x}"])
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        argo_template(text)
    assert caught.value.code == "TIP105" and "test_kept.py" in caught.value.where


def test_a_condition_of_argos_is_not_combined() -> None:
    say = argo_template(TEXT)
    with Pipeline("kept"), pytest.raises(DefinitionError) as caught:
        say().when(raw("a == a")).when(raw("b == b"))
    assert caught.value.code == "TIP114"
