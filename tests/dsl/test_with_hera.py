"""Hera and Tiphys in one file: nothing of what either says vanishes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest
from hera.shared import global_config
from hera.workflows import DAG, Artifact, Container, ExistingVolume, Parameter, Step, Steps, Workflow, script
from hera.workflows import Task as HeraTask
from hera.workflows.models import LabelValueFrom, WorkflowMetadata

import tiphys
from tests.tools import argo_lint
from tiphys import Pipeline, Reference, Resources, component, dag
from tiphys.argo.cron import child_workflow
from tiphys.engine import RunOptions
from tiphys.errors import DefinitionError


@component
def measure(text: str) -> int:
    return len(text)


@component
def double(number: int) -> int:
    return 2 * number


@component
def keep(data: Reference) -> None:
    """A step that needs the claim."""


@script(image="python:3.11")
def publish():  # type: ignore[no-untyped-def]  # Hera cannot read annotations that are strings
    print("published")  # noqa: T201


def run(tmp_path: Path, workflow: Any) -> Any:
    return tiphys.run(workflow, options=RunOptions(store=tmp_path / "store", images={"*": "host"}))


# -- F6 --------------------------------------------------------------------------------------------------------


def test_a_component_in_a_plain_dag_runs(tmp_path: Path) -> None:
    with Workflow(generate_name="mixed-", entrypoint="main") as workflow:
        hello = Container(name="hello", image="alpine:3.20", command=["echo", "hello"])
        with DAG(name="main"):
            first = hello(name="first")
            size = measure(text="Argo")
            first >> size
    assert not [found for found in tiphys.lint(workflow) if found.severity == "error"]
    result = run(tmp_path, workflow)
    assert result.succeeded, result.message


@pytest.mark.parametrize("kind", [DAG, Steps])
def test_a_reference_brings_its_claim(kind: type) -> None:
    with Workflow(generate_name="mixed-", entrypoint="main") as workflow, kind(name="main"):
        keep(data="pvc://tiphys/x")
    text = tiphys.to_yaml(workflow)
    assert text.count("claimName:") == text.count("claimName: tiphys\n") == 1
    assert not [found for found in tiphys.lint(workflow) if found.code == "L328"]


def test_a_claim_that_the_author_has_is_the_authors() -> None:
    volume = ExistingVolume(name="tiphys", claim_name="mine", mount_path="/m")
    with Workflow(generate_name="mixed-", entrypoint="main", volumes=volume) as workflow, DAG(name="main"):
        keep(data="pvc://tiphys/x")
    text = tiphys.to_yaml(workflow)
    assert "claimName: mine" in text and "claimName: tiphys" not in text


ORDERS: dict[str, tuple[Callable[[], object], list[str]]] = {
    "none": (lambda: double(number=measure(text="a").outputs.result), ["measure"]),
    "said as well": (lambda: _ordered(), ["measure"]),
    "said before and another": (lambda: _ordered(also=True), ["other && measure"]),
}


def _ordered(also: bool = False) -> None:
    first = measure(text="a")
    second = double(number=first.outputs.result)
    if also:
        measure(name="other", text="b") >> second
    else:
        first >> second


@pytest.mark.parametrize("case", ORDERS)
def test_an_order_may_be_said_beside_the_argument(case: str) -> None:
    with Workflow(generate_name="mixed-", entrypoint="main") as workflow, DAG(name="main"):
        ORDERS[case][0]()
    for _ in range(2):
        tasks = next(t["dag"]["tasks"] for t in workflow.to_dict()["spec"]["templates"] if "dag" in t)
        assert [task["depends"] for task in tasks if "depends" in task] == ORDERS[case][1]


@component
def items() -> list[int]:
    return [1, 2]


def test_heras_options_take_values_and_conditions(tmp_path: Path) -> None:
    with Workflow(generate_name="options-", entrypoint="main") as workflow, DAG(name="main"):
        made = items()
        double(name="each", number="{{item}}", with_param=made.outputs.result)
        size = measure(text="abc")
        double(name="if-long", number=1, when=size.outputs.result > 2)
        double(name="if-short", number=1, when=size.outputs.result < 2)
    assert not [found for found in tiphys.lint(workflow) if found.severity == "error"]
    result = run(tmp_path, workflow)
    phases = {n["displayName"]: n["phase"] for n in result.workflow["status"]["nodes"].values()}
    assert phases["if-long"] == phases["each(1:2)"] == "Succeeded" and phases["if-short"] == "Skipped"


# -- F7 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: HeraTask(name="x", template="measure"),
        lambda: Step(name="x", template="measure"),
    ],
)
def test_a_task_of_heras_own_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(DefinitionError) as caught, Pipeline("calls"):
        measure(text="a")
        call()
    assert caught.value.code == "TIP113" and "component" in caught.value.fix
    assert "test_with_hera.py" in caught.value.where


def test_heras_templates_can_still_be_made_in_a_pipeline() -> None:
    with Pipeline("made") as pipeline:
        measure(text="a")
        Container(name="c", image="alpine:3", command=["true"])
        with DAG(name="other"):
            publish()
    assert {"c", "other", "publish"} <= {t["name"] for t in pipeline.to_dict()["spec"]["templates"]}


@dataclass
class Made:
    count: Annotated[int, Parameter(name="kk")]


class Pair(NamedTuple):
    left: Annotated[int, Artifact(name="a")]


def _artifact() -> Annotated[str, Artifact(name="scores", path="/tmp/x")]:
    return ""


def _parameter() -> Annotated[int, Parameter(name="kk")]:
    return 1


def _field() -> Made:
    return Made(1)


def _pair() -> Pair:
    return Pair(1)


def _class() -> Annotated[str, Artifact]:
    return ""


def _input(a: Annotated[int, Parameter(description="x")]) -> None:
    """Its description would be lost."""


@pytest.mark.parametrize("function", [_artifact, _parameter, _field, _pair, _class, _input])
def test_annotations_of_hera_are_refused_not_ignored(function: Callable[..., Any]) -> None:
    for make in (component, dag):
        with pytest.raises(DefinitionError) as caught:
            make(function)
        assert caught.value.code == "TIP110" and "Hera's" in caught.value.message


class Fitted(NamedTuple):
    model: Annotated[Path, Artifact(name="the-model")]
    rows: int


@component
def raw(count: int) -> Annotated[Path, Artifact(name="raw-rows")]:
    import tempfile

    file = Path(tempfile.mkdtemp()) / "rows"
    file.write_text("row\n" * count)
    return file


@component(cache=tiphys.Cache.by_content())
def fitted(data: Annotated[Path, Artifact(name="input-rows")]) -> Fitted:
    import tempfile

    file = Path(tempfile.mkdtemp()) / "model"
    file.write_text(data.read_text().upper())
    return Fitted(file, len(data.read_text().splitlines()))


@component
def shown(model: Annotated[Path, Artifact], rows: int) -> str:
    return f"{model.read_text()}{rows}"


@pytest.mark.parametrize("embed", [True, False])
def test_artifacts_beside_the_type_of_a_file_give_it_its_name(tmp_path: Path, embed: bool) -> None:
    with Pipeline("named") as pipeline:
        made = fitted.using(embed=embed)(data=raw.using(embed=embed)(count=2).raw_rows)
        shown.using(embed=embed)(model=made.the_model, rows=made.rows)
    templates = {each["name"]: each for each in pipeline.to_dict()["spec"]["templates"]}
    assert [each["name"] for each in templates["raw"]["outputs"]["artifacts"]] == ["raw-rows"]
    assert [each["name"] for each in templates["fitted"]["inputs"]["artifacts"]] == ["input-rows"]
    assert [each["name"] for each in templates["fitted"]["outputs"]["artifacts"]] == ["the-model"]
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    options = RunOptions(store=tmp_path / "store", project=Path(__file__).parents[2])
    for _ in range(2):  # computed, and from the cache
        result = tiphys.run(pipeline, options=options)
        assert result.succeeded, result.message
        assert result.outputs_of("shown")["result"] == "ROW\nROW\n2"


def _path() -> Annotated[Path, Artifact(name="a", path="/tmp/x")]:
    return Path("/tmp/x")


def _bad_name() -> Annotated[Path, Artifact(name="a b")]:
    return Path("/tmp/x")


@pytest.mark.parametrize(("function", "code"), [(_path, "TIP110"), (_bad_name, "TIP101")])
def test_what_else_an_artifact_says_is_refused(function: Callable[..., Any], code: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        component(function)
    assert caught.value.code == code


def test_other_annotations_are_still_no_matter() -> None:
    def plain(a: Annotated[int, "in metres"]) -> Annotated[int, "in feet"]:
        return a

    assert component(plain).inputs[0].type is int


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(global_config, "_pre_build_hooks", {})


def test_what_a_hook_sets_is_kept(hooks: None) -> None:
    def mark(pipeline: Pipeline) -> Pipeline:
        pipeline.annotations = {**(pipeline.annotations or {}), "team": "vision"}
        pipeline.labels = {"team": "vision"}
        return pipeline

    mark.__annotations__ = {"return": Pipeline}  # Hera reads the annotation itself
    global_config.register_pre_build_hook(mark)
    with Pipeline("hooked", title="Hooked") as pipeline:
        pipeline.param("n", 1)
        measure(text="a")
    metadata = pipeline.to_dict()["metadata"]
    assert metadata["labels"] == {"team": "vision"}
    assert metadata["annotations"]["team"] == "vision"
    assert metadata["annotations"]["workflows.argoproj.io/title"] == "Hooked"
    assert len(metadata["annotations"]) == 3  # and the schema of the parameters


def test_class_defaults_of_hera_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(global_config, "_defaults", copy.deepcopy(global_config._defaults))
    global_config.set_class_defaults(Pipeline, annotations={"team": "vision"}, labels={"a": "b"})
    with Pipeline("defaults", title="T") as pipeline:
        measure(text="a")
    metadata = pipeline.to_dict()["metadata"]
    assert metadata["annotations"] == {"team": "vision", "workflows.argoproj.io/title": "T"}
    assert metadata["labels"] == {"a": "b"}


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("activedeadlineseconds", "active_deadline_seconds"),
        ("ttl_stategy", "ttl_strategy"),
        ("volume", "volumes"),
    ],
)
def test_an_attribute_that_would_do_nothing_is_refused(name: str, near: str) -> None:
    with Pipeline("attributes") as pipeline:
        measure(text="a")
    with pytest.raises(DefinitionError) as caught:
        setattr(pipeline, name, 5)
    assert caught.value.code == "TIP103" and f"Did you mean '{near}'" in caught.value.message
    assert isinstance(caught.value, AttributeError)
    pipeline.active_deadline_seconds = 5
    assert pipeline.to_dict()["spec"]["activeDeadlineSeconds"] == 5


def test_a_subclass_may_declare_attributes_of_its_own() -> None:
    class Mine(Pipeline):
        owner: str

        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.owner = "me"

    assert Mine("mine").owner == "me"


def test_runs_of_a_schedule_or_a_template_have_title_and_labels() -> None:
    """Argo copies nothing of the metadata of what a run comes from but what workflowMetadata says."""
    with Pipeline("nightly", title="Nightly", labels={"team": "vision"}) as pipeline:
        measure(text="a")
    cron = pipeline.as_cron("0 3 * * *")
    assert "workflowMetadata" not in cron["spec"]["workflowSpec"]
    for made in (cron, pipeline.as_template()):
        assert made["spec"]["workflowMetadata"]["labels"] == {"team": "vision"}
        assert made["spec"]["workflowMetadata"]["annotations"]["workflows.argoproj.io/title"] == "Nightly"
        assert not [found for found in tiphys.lint(made) if found.severity == "error"]


def test_what_hera_says_of_the_metadata_of_runs_is_said_of_those_of_a_schedule_too(tmp_path: Path) -> None:
    with Pipeline("nightly", labels={"team": "vision", "tier": "one"}) as pipeline:
        measure(text="a")
    pipeline.workflow_metadata = WorkflowMetadata(
        labels={"tier": "two"}, labels_from={"day": LabelValueFrom(expression="'Monday'")}
    )
    wanted = {"team": "vision", "tier": "two", "day": "Monday"}
    template, cron = pipeline.as_template(), pipeline.as_cron("0 3 * * *")
    made = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "by-name"},
        "spec": {"workflowTemplateRef": {"name": template["metadata"]["name"]}},
    }
    for number, objects in enumerate(([template, made], [child_workflow(cron, 0.0)])):
        file = tmp_path / f"{number}.yaml"
        file.write_text("---\n".join(map(tiphys.to_yaml, objects)))
        result = tiphys.run(str(file), options=RunOptions(store=tmp_path / "store"))
        labels = result.workflow["metadata"]["labels"]
        assert {key: labels.get(key) for key in wanted} == wanted
    for document in (template, cron):
        assert not [found for found in tiphys.lint(document) if found.severity == "error"]


@pytest.mark.parametrize("name", ["from_yaml", "from_dict", "from_file"])
def test_a_pipeline_is_not_read(name: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        getattr(Pipeline, name)({})
    assert caught.value.code == "TIP120" and "tiphys.run" in caught.value.fix


# -- F4 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        ({}, {"cpu": "2", "memory": "2Gi"}),
        ({"cpu": "4", "memory": "8Gi"}, {"cpu": "4", "memory": "8Gi"}),
        ({"cpu": "2500m"}, {"cpu": "2500m", "memory": "2Gi"}),
        ({"memory": "3000M"}, {"cpu": "2", "memory": "3000M"}),
        ({"memory": "1Gi", "memory_limit": "1Gi"}, {"cpu": "2", "memory": "1Gi"}),
        ({"cpu": "4", "cpu_limit": "8"}, {"cpu": "8", "memory": "2Gi"}),
    ],
)
def test_limits_follow_a_larger_request(given: dict[str, str], limits: dict[str, str]) -> None:
    assert Resources(**given).mapping()["limits"] == limits  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{"cpu": "4", "cpu_limit": "2"}, {"memory": "3Gi", "memory_limit": "3G"}])
def test_a_request_above_its_limit_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(DefinitionError) as caught:
        Resources(**given)  # type: ignore[arg-type]
    assert caught.value.code == "TIP109" and "leave" in caught.value.fix
