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


def names(text: str, **template: Any) -> list[tuple[str, str]]:
    """What L367 says of an argument: (message, fix)."""
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "demo-"},
        "spec": {
            "entrypoint": "main",
            "arguments": {"parameters": [{"name": "my-word", "value": "x"}, {"name": "word", "value": "x"}]},
            "templates": [
                {
                    "name": "main",
                    "inputs": {"parameters": [{"name": "city-name", "value": "oslo"}]},
                    **echo(text),
                    **template,
                }
            ],
        },
    }
    return [(item.message, item.fix) for item in lint(workflow) if item.code == "L367"]


@pytest.mark.parametrize(
    ("text", "name", "fix"),
    [
        ("{{=inputs.parameters.city-name}}", "inputs.parameters.city-name", "inputs.parameters['city-name']"),
        (
            "{{=f(inputs.parameters.city - name)}}",
            "inputs.parameters.city-name",
            "inputs.parameters['city-name']",
        ),
        ("{{=city-name}}", "city-name", "inputs.parameters['city-name']"),
        (
            "{{=workflow.parameters.my-word + 'x'}}",
            "workflow.parameters.my-word",
            "workflow.parameters['my-word']",
        ),
        ("{{=workflow.parameters.wrd}}", "workflow.parameters.wrd", "workflow.parameters.word"),
        ("{{=workflow.nme}}", "workflow.nme", "workflow.name"),
        ("{{=word}}", "word", ""),
        ("{{=steps.a.outputs.result}}", "steps.a.outputs.result", ""),
        ("{{=inputs.parameters.none == 'a' && true}}", "inputs.parameters.none", ""),
    ],
)
def test_names_that_nothing_provides(text: str, name: str, fix: str) -> None:
    ((message, told),) = names(text)
    assert repr(name) in message and fix in told


def test_an_expression_is_told_as_it_is_written() -> None:
    text = "{{=workflow.nme == 'a: b' ? 1 : 2}}"
    ((message, _),) = names(text)
    assert message.startswith(f"templates.main {text} uses 'workflow.nme'")


@pytest.mark.parametrize(
    "text",
    [
        "{{=inputs.parameters['city-name']}}",
        "{{=workflow.parameters.none ?? 'x'}}",
        "{{=workflow.parameters?.none}}",
        "{{=workflow.parameters.none != nil ? workflow.parameters.none : 'x'}}",
        "{{=sprig.default('x', workflow.parameters.none)}}",
        "{{=toJson(inputs.parameters)}}",
        "{{=keys(workflow.parameters)}}",
        "{{=map(['a'], # + workflow.name)}}",
        "{{=let x = workflow.uid; x + x}}",
        "{{=asInt(retries) + 1}}",
        "{{=workflow.outputs.parameters.any}}",
        "{{=workflow.creationTimestamp.Y + node.name + pod.name}}",
        "{{=workflow.parameters.word[0:1]}}",
        "{{= '{{inputs.parameters.city-name}}' }}",  # filled before it is read
    ],
)
def test_names_that_may_be_there(text: str) -> None:
    assert names(text) == []


def test_names_of_tasks_with_hyphens() -> None:
    leaf = {"name": "leaf", "inputs": {"parameters": [{"name": "x"}]}, **echo("hi")}
    value = "{{=tasks.get-data.outputs.result}}{{=tasks['get-data'].outputs.result}}{{=item.k}}"
    tasks = [
        {"name": "get-data", "template": "leaf", "arguments": {"parameters": [{"name": "x", "value": "a"}]}},
        {
            "name": "b",
            "template": "leaf",
            "depends": "get-data",
            "withItems": [{"k": 1}],
            "arguments": {"parameters": [{"name": "x", "value": value}]},
        },
    ]
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "demo-"},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "dag": {"tasks": tasks}}, leaf]},
    }
    fixes = [item.fix for item in lint(workflow) if item.code == "L367"]
    assert fixes == ["write tasks['get-data'].outputs.result"]


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


def test_an_expression_loads_no_more_than_its_check_needs() -> None:
    """Of what its functions use when they are called nothing."""
    program = (
        "import sys; from tiphys.lint import lint\n"
        "main = {'name': 'main', 'container': {'image': 'a:1', 'command': ['{{=sprig.trimm(1)}}']}}\n"
        "spec = {'entrypoint': 'main', 'templates': [main]}\n"
        "head = {'apiVersion': 'argoproj.io/v1alpha1', 'kind': 'Workflow', 'metadata': {'name': 'a'}}\n"
        "assert 'L359' in [each.code for each in lint({**head, 'spec': spec})]\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=60, capture_output=True, text=True
    )
    slow = {"dataclasses", "hashlib", "inspect", "random", "urllib", "uuid", "zoneinfo"}
    loaded = set(done.stdout.split())
    assert "tiphys.expr.sprig" in loaded
    assert not slow & loaded
