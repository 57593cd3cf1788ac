"""The insides of expressions, which the real `argo lint` does not look at."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tiphys.lint import lint


def found(template: dict[str, Any], **spec: Any) -> list[tuple[str, str]]:
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "demo-"},
        "spec": {
            "entrypoint": "main",
            "templates": [
                {"name": "main", **template},
                {"name": "work", "container": {"image": "alpine:3.23", "command": ["true"]}},
            ],
            **spec,
        },
    }
    return [(item.code, item.path) for item in lint(workflow) if item.code in ("L318", "L359")]


def echo(text: str) -> dict[str, Any]:
    return {"container": {"image": "alpine:3.23", "command": ["echo"], "args": [text]}}


@pytest.mark.parametrize(
    "text",
    [
        "{{=1 +}}",
        "{{=(1}}",
        "{{='open}}",
        "{{=1 + 'a'}}",
        "{{=workflow.parameters['a'}}",
        "{{=not}}",
        "a {{=1}} b {{=}}",
    ],
)
def test_what_does_not_compile(text: str) -> None:
    assert found(echo(text)) == [("L318", "spec.templates[0].container.args[0]")]


@pytest.mark.parametrize(
    "text",
    [
        "{{=workflow.parameters.a + 1}}",  # of what kind it is shows at run time only
        "{{=map(fromJSON(inputs.parameters.list), {#.name})}}",
        "{{=filter([1, 2], # > 1)}}",
        "{{=let x = 1; x + 1}}",
        "{{=item?.name ?? 'none'}}",
        "{{=jsonpath(steps.a.outputs.result, '$.x')}}",
        "{{=sprig.default('a', inputs.parameters.b)}}",
        "{{=nobody.knows}}",
        "{{workflow.name}}",
        "{{=toJson(inputs.parameters)[1:-1]}}",
    ],
)
def test_what_may_be_right(text: str) -> None:
    assert found(echo(text)) == []


def test_functions_that_nobody_has() -> None:
    assert (
        found(echo("{{=asInteger('1') + sprig.trimm('a')}}"))
        == [("L359", "spec.templates[0].container.args[0]")] * 2
    )


def test_retries_and_hooks() -> None:
    retry = {"limit": 2, "expression": "asInt(lastRetry.exitCode > 1"}
    assert found({**echo("hi"), "retryStrategy": retry}) == [
        ("L318", "spec.templates[0].retryStrategy.expression")
    ]
    hook = {"bad": {"expression": "workflow.status == ", "template": "work"}}
    assert found(echo("hi"), hooks=hook) == [("L318", "spec.hooks.bad.expression")]
    step = {"name": "a", "template": "work", "hooks": hook}
    assert found({"steps": [[step]]}) == [("L318", "spec.templates[0].steps[0][0].hooks.bad.expression")]
    good = {"good": {"expression": 'workflow.status == "Running"', "template": "work"}}
    assert found(echo("hi"), hooks=good) == []


def test_text_without_expressions_does_not_load_their_parser() -> None:
    program = (
        "import sys; from tiphys.lint import lint\n"
        "lint('apiVersion: argoproj.io/v1alpha1\\nkind: Workflow\\nmetadata: {name: x}\\nspec: {entrypoint: x}\\n')\n"
        "sys.exit('tiphys.expr.parser' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
