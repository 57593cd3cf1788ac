"""Hera's templates called in a Pipeline: tasks that run, with what they declare (F7: a template, and no task)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hera.workflows import DAG, Container, Parameter, Steps, Workflow, script
from hera.workflows.models import ValueFrom

import tiphys
from tiphys import DefinitionError, Pipeline, component, dag
from tiphys.engine import RunOptions


@script(image="python:3.11")
def repeat(a, times=2):  # type: ignore[no-untyped-def]  # Hera cannot read annotations that are strings
    print(a * int(times))  # noqa: T201


@script(image="python:3.11")
def publish():  # type: ignore[no-untyped-def]
    print("published")  # noqa: T201


@component
def shout(text: str) -> str:
    return text.upper()


def count() -> Container:
    return Container(
        name="count",
        image="alpine:3.20",
        command=["sh", "-c", 'printf %s "$0" | wc -c | tr -d " " >/tmp/n', "{{inputs.parameters.some-text}}"],
        inputs=[Parameter(name="some-text")],
        outputs=[Parameter(name="n", value_from=ValueFrom(path="/tmp/n"))],
    )


def ran(tmp_path: Path, pipeline: Pipeline) -> dict[str, Any]:
    options = RunOptions(store=tmp_path / "store", images={"*": "host"}, handle_signals=False)
    result = tiphys.run(pipeline, options=options)
    assert result.succeeded, result.message
    nodes = result.workflow["status"]["nodes"].values()
    return {n["displayName"]: n.get("outputs") or {} for n in nodes}


def test_what_is_called_is_a_task(tmp_path: Path) -> None:
    with Pipeline("mixed") as pipeline:
        first = repeat(name="first", arguments={"a": shout(text="ab"), "times": 3})
        counted = count()(name="counted", arguments=[Parameter(name="some-text", value="four")])
        shout(text=first.result).named("loud")
        shout(text=counted.n).named("number")
        count()(some_text=first)
    assert not [f for f in tiphys.lint(pipeline) if f.severity == "error"]
    outputs = ran(tmp_path, pipeline)
    assert outputs["first"]["result"] == "ABABAB" == outputs["loud"]["parameters"][0]["value"]
    assert outputs["number"]["parameters"][0]["value"] == "4"
    assert outputs["count"]["parameters"][0]["value"] == "6"


def test_an_exit_handler_and_a_dag_of_ours_take_them_too(tmp_path: Path) -> None:
    @dag
    def inner(a: str) -> str:
        return repeat(a=a).result  # type: ignore[no-any-return]

    with Pipeline("inner") as pipeline:
        shout(text=inner(a="x")).named("loud")
    with pipeline.exit_handler():
        shout(text=publish())
    outputs = ran(tmp_path, pipeline)
    assert outputs["loud"]["parameters"][0]["value"] == "XX"
    assert outputs["publish"]["result"] == "published"  # that of a step which somebody reads


def test_a_graph_of_heras_is_one_task(tmp_path: Path) -> None:
    with Pipeline("graphs") as pipeline:
        with Steps(name="two", inputs=[Parameter(name="a")]) as two:
            one = repeat(name="one", arguments={"a": "{{inputs.parameters.a}}"})
            repeat(name="two", arguments={"a": one.result})
        two(a=shout(text="q"))
    assert not [f for f in tiphys.lint(pipeline) if f.severity == "error"]
    assert ran(tmp_path, pipeline)["one"]["result"] == "QQ"


def test_it_is_checked_as_a_component_is() -> None:
    for call, code in (
        (lambda: repeat(name="x", arguments={"b": 1}), "TIP103"),
        (lambda: repeat(), "TIP104"),
        (lambda: repeat(a="{{workflow.name}}"), "TIP119"),
        (lambda: repeat(a="x", with_items=[1]), "TIP103"),
        (lambda: repeat(a="x", arguments=[1]), "TIP105"),
        (lambda: repeat(a="x").nothing, "TIP106"),
    ):
        with Pipeline("wrong"), pytest.raises(DefinitionError) as caught:
            call()
        assert caught.value.code == code and "test_hera_calls.py" in caught.value.where


def test_outside_of_a_pipeline_hera_is_as_it_was() -> None:
    assert publish() is None
    with Workflow(generate_name="plain-", entrypoint="main") as workflow, DAG(name="main"):
        repeat(name="x", arguments={"a": "1"})
    assert [t.name for t in workflow.build().spec.templates] == ["main", "repeat"]  # type: ignore[union-attr]
