"""Everything that stands for a workflow compiles: pipelines, Hera's objects, mappings, paths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hera.workflows import (
    DAG,
    Container,
    CronWorkflow,
    Parameter,
    Script,
    Step,
    Steps,
    Task,
    Workflow,
    WorkflowTemplate,
)
from hera.workflows.models import WorkflowTemplateRef

import tiphys
from tests.dsl import library
from tests.tools import argo_lint
from tiphys import Cache, Gang, Pipeline, Retry, Semaphore, Serving, TFJob, component, dag
from tiphys.errors import DefinitionError


@component(cache=Cache.by_content("1h"), locks=[Semaphore("gpu", 2)])
def make(text: str, size: int = 2) -> str:
    return text * size


def echo() -> Container:
    return Container(
        name="echo",
        image="alpine",
        command=["echo"],
        args=["{{inputs.parameters.text}}", "jq '.a | {{'"],
        inputs=[Parameter(name="text")],
    )


def plain() -> Workflow:
    with Workflow(
        generate_name="hera-", entrypoint="main", labels={"n": "1"}, arguments={"p": 3}
    ) as workflow:
        step = echo()
        with DAG(name="main"):
            first = step(name="first", arguments={"text": "012"})
            second = Task(name="second", template=step, arguments={"text": "y"})
            first >> second  # type: ignore[operator]
    return workflow


def test_a_hera_workflow_means_the_same_as_with_hera() -> None:
    workflow = plain()
    assert yaml.safe_load(tiphys.to_yaml(workflow)) == workflow.to_dict()


def test_argo_accepts_it_where_heras_own_yaml_cannot_be_parsed(tmp_path: Path) -> None:
    assert argo_lint(tiphys.to_yaml(plain()), tmp_path) == ""


def test_other_kinds_of_hera() -> None:
    with WorkflowTemplate(name="t", entrypoint="echo", arguments={"text": "x"}) as template:
        echo()
    cron = CronWorkflow(
        name="c", schedules=["0 0 * * *"], workflow_template_ref=WorkflowTemplateRef(name="t")
    )
    for workflow in (template, cron):
        assert yaml.safe_load(tiphys.to_yaml(workflow)) == json.loads(json.dumps(workflow.to_dict()))
    model = template.build()
    assert yaml.safe_load(tiphys.to_yaml(model))["kind"] == "WorkflowTemplate"


def test_building_blocks_work_in_a_plain_hera_dag(tmp_path: Path) -> None:
    with Workflow(generate_name="mixed-", entrypoint="main", arguments={"epochs": "2"}) as workflow:
        step = echo()
        with DAG(name="main"):
            made = make(text="a", name="made")
            told = step(name="told", arguments={"text": made.outputs.result.tag()})
            made >> told
            job = TFJob(library.train, gang=Gang(2), instance="model")(
                data="{{tasks.made.outputs.parameters.result}}",
                model="cnn",
                epochs="{{workflow.parameters.epochs}}",
            )
            Serving("m").deploy(name="cnn", model=job.outputs.model)
            make(text=made.outputs.result, name="again", when="{{workflow.status}} == Running")
    documents = list(yaml.safe_load_all(tiphys.to_yaml(workflow)))
    assert documents[0]["data"] == {"gpu": "2", "training-2": "1"}
    templates = {t["name"]: t for t in documents[1]["spec"]["templates"]}
    assert set(templates) == {"echo", "main", "make", "make-run", "train", "deploy"}
    tasks = {t["name"]: t for t in templates["main"]["dag"]["tasks"]}
    assert tasks["told"]["depends"] == "made"
    assert tasks["train"]["depends"] == "made"
    assert tasks["deploy"]["depends"] == "train"
    assert tasks["again"]["depends"] == "made" and tasks["again"]["when"]
    key = next(p["value"] for p in tasks["train"]["arguments"]["parameters"] if p["name"] == "key")
    assert "tasks.made.outputs.parameters.result, workflow.parameters.epochs" in key
    assert argo_lint(tiphys.to_yaml(workflow), tmp_path) == ""


def test_building_blocks_work_in_plain_hera_steps(tmp_path: Path) -> None:
    with Workflow(generate_name="steps-", entrypoint="main") as workflow, Steps(name="main") as steps:
        made = make(text="a")
        with steps.parallel():
            make(text=made.outputs.result, name="left")
            make(text="b", size=3, name="right")
    text = tiphys.to_yaml(workflow)
    rows = next(t for t in list(yaml.safe_load_all(text))[1]["spec"]["templates"] if t["name"] == "main")[
        "steps"
    ]
    assert [[s["name"] for s in row] for row in rows] == [["make"], ["left", "right"]]
    assert rows[1][0]["arguments"]["parameters"][0]["value"] == "{{steps.make.outputs.parameters.result}}"
    assert argo_lint(text, tmp_path) == ""


def test_in_hera_too_wrong_calls_are_refused() -> None:
    with Workflow(generate_name="w-", entrypoint="main") as workflow:
        with DAG(name="main"), pytest.raises(DefinitionError) as caught:
            make(txt="a")
        assert caught.value.code == "TIP103"
        with pytest.raises(DefinitionError) as caught:
            make(text="a")
        assert caught.value.code == "TIP113"
    assert workflow.templates[0].name == "main"


def test_hera_would_merge_two_templates_of_one_name_silently() -> None:
    with Workflow(generate_name="w-", entrypoint="main"), DAG(name="main"):
        make(text="a")
        with pytest.raises(DefinitionError) as caught:
            make.using(image="other")(text="b", name="second")
    assert caught.value.code == "TIP117"


def test_heras_templates_stand_in_a_pipeline(tmp_path: Path) -> None:
    with Pipeline("p") as pipeline:
        make(text="a")
        with DAG(name="extra"):
            Step  # noqa: B018
            echo()(name="e", arguments={"text": "x"})
    names = [t["name"] for t in pipeline.to_dict()["spec"]["templates"]]
    assert names[:2] == ["main", "make"] and set(names[2:]) == {"make-run", "extra", "echo"}
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""


def test_a_hera_script_keeps_its_text() -> None:
    source = "print('''a''')\n\nif True:\n    print(\"{{x}}\")  \n"
    with Workflow(generate_name="w-", entrypoint="s") as workflow:
        Script(name="s", image="python", command=["python"], source=source)
    assert yaml.safe_load(tiphys.to_yaml(workflow))["spec"]["templates"][0]["script"]["source"] == source


def test_mappings_lists_and_paths(tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x"},
        "data": {"a": "1"},
    }
    assert yaml.safe_load(tiphys.to_yaml(document)) == document
    assert list(yaml.safe_load_all(tiphys.to_yaml([document, document]))) == [document, document]
    path = tmp_path / "x.yaml"
    path.write_text(
        "kind: Workflow\nspec: {arguments: {parameters: [{name: m, value: 1e3}]}}\n", encoding="utf-8"
    )
    read = yaml.safe_load(tiphys.to_yaml(path))
    # go-yaml reads 1e3 as a number, and Argo's AnyString makes "1000" of it
    assert read["spec"]["arguments"]["parameters"] == [{"name": "m", "value": "1000"}]
    assert tiphys.to_yaml(str(path)) == tiphys.to_yaml(path)


@pytest.mark.parametrize("x", [3, None, object()])
def test_what_is_no_workflow_is_refused(x: object) -> None:
    with pytest.raises(DefinitionError) as caught:
        tiphys.to_yaml(x)
    assert caught.value.code == "TIP120"


def test_a_component_alone_is_no_workflow() -> None:
    with pytest.raises(DefinitionError) as caught:
        tiphys.to_yaml(make)
    assert caught.value.code == "TIP120"


def test_a_cached_and_retried_component_and_a_graph_work_in_hera_too(tmp_path: Path) -> None:
    """On one template a hit with a retry would hang the workflow in Argo 4.1.2; so they are two."""
    guarded = component(make.function, name="guarded", cache=Cache.by_content(), retry=Retry())

    @dag
    def nested(text: str) -> str:
        return guarded(text=text).result  # type: ignore[no-any-return]

    with Workflow(generate_name="w-", entrypoint="main") as workflow, DAG(name="main"):
        first = guarded(text="a")
        nested(text=first.outputs.result)
        nested(text="b", name="again")
    text = tiphys.to_yaml(workflow)
    templates = {t["name"]: t for t in list(yaml.safe_load_all(text))[-1]["spec"]["templates"]}
    assert set(templates) == {"main", "guarded", "guarded-run", "nested"}
    assert "memoize" in templates["guarded"] and "retryStrategy" not in templates["guarded"]
    assert "retryStrategy" in templates["guarded-run"] and "memoize" not in templates["guarded-run"]
    assert argo_lint(text, tmp_path) == ""
