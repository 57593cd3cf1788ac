"""A value that a step wrote is data: with ``strict_values`` the engine refuses what Argo would evaluate once more.

What the controller does with each of these was seen on the real 4.0.5 (``EVALUATED``).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.harness import IMAGE, Json, execute, node, workflow
from tiphys.errors import RefusedError

EVALUATED = {
    "{{workflow.parameters.secret}}": "TOPSECRET",
    "{{=1+1}}": "2",
    "{{inputs.parameters.why}}": "because",
    "a {{ b": None,
}
SAYING = {
    "name": "b",
    "inputs": {"parameters": [{"name": "x"}, {"name": "why", "value": "because"}]},
    "container": {"image": IMAGE, "command": ["echo", "{{inputs.parameters.x}}"]},
}


def printing(text: str) -> dict[str, Json]:
    """A script that prints it, without having it in its own text."""
    code = "".join(f"\\{ord(letter):03o}" for letter in text)
    return {"name": "a", "script": {"image": IMAGE, "command": ["sh"], "source": f"printf '{code}'"}}


def called(value: str, **more: Json) -> dict[str, Json]:
    call = {
        "name": "b",
        "template": "b",
        "arguments": {"parameters": [{"name": "x", "value": value}]},
        **more,
    }
    return {"name": "main", "steps": [[{"name": "a", "template": "a"}], [call]]}


def flow(text: str, value: str = "{{steps.a.outputs.result}}", **more: Json) -> dict[str, Json]:
    arguments = {"parameters": [{"name": "secret", "value": "TOPSECRET"}]}
    return workflow(called(value, **more), printing(text), SAYING, arguments=arguments)


@pytest.mark.parametrize("text", EVALUATED)
def test_what_a_step_wrote_is_not_evaluated(tmp_path: Path, text: str) -> None:
    if EVALUATED[text] is not None:
        free = execute(tmp_path, flow(text))
        assert node(free, "b")["inputs"]["parameters"][0]["value"] == EVALUATED[text]  # as Argo does
    result = execute(tmp_path, flow(text), strict_values=True)
    assert not result.succeeded
    assert text[text.index("{{") :] in result.message and "--strict-values" in result.message
    assert "TOPSECRET" not in str(result.workflow["status"]).replace("'value': 'TOPSECRET'", "")


@pytest.mark.parametrize("items", ['["x", "{{workflow.parameters.secret}}"]', '[{"k": "{{=1+1}}"}]'])
def test_items_that_a_step_wrote_are_not_evaluated(tmp_path: Path, items: str) -> None:
    text = "{{item.k}}" if '"k"' in items else "{{item}}"
    looped = flow(items, text, withParam="{{steps.a.outputs.result}}")
    free = execute(tmp_path, looped)
    assert free.succeeded, free.message
    result = execute(tmp_path, looped, strict_values=True)
    assert not result.succeeded and "--strict-values" in result.message


def test_an_output_of_the_whole_workflow_is_not_evaluated(tmp_path: Path) -> None:
    """It enters the text of a template without being an argument."""
    writing = printing("{{workflow.parameters.secret}}")
    writing["script"]["source"] += " > /tmp/out"
    writing["outputs"] = {
        "parameters": [{"name": "o", "globalName": "said", "valueFrom": {"path": "/tmp/out"}}]
    }
    using = {**SAYING, "container": {**SAYING["container"], "args": ["{{workflow.outputs.parameters.said}}"]}}
    arguments = {"parameters": [{"name": "secret", "value": "TOPSECRET"}]}
    made = workflow(called("plain"), writing, using, arguments=arguments)
    assert execute(tmp_path, made).succeeded
    result = execute(tmp_path, made, strict_values=True)
    assert not result.succeeded and "{{workflow.parameters.secret}}" in result.message


@pytest.mark.parametrize("text", ["plain", "{a}", "}}", '{"a":{"b":1}}'])
def test_other_values_and_the_authors_own_tags_are_taken(tmp_path: Path, text: str) -> None:
    made = flow(text, "{{workflow.name}} {{=1+1}} {{steps.a.outputs.result}}")
    result = execute(tmp_path, made, strict_values=True)
    assert result.succeeded, result.message
    assert node(result, "b")["inputs"]["parameters"][0]["value"].endswith(f" 2 {text}")


def test_a_value_given_for_the_run_is_data(tmp_path: Path) -> None:
    given = {"secret": "{{=1+1}}"}
    assert execute(tmp_path, flow("x"), parameters=given).succeeded
    with pytest.raises(RefusedError, match="TIP283"):
        execute(tmp_path, flow("x"), parameters=given, strict_values=True)
