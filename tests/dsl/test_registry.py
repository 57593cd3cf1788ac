"""The registry in a pipeline: the compiled YAML on the local engine; tests/cluster runs the same on the real one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tiphys
from tests.runs.test_registry import model
from tests.tools import argo_lint
from tiphys import Fake, ModelRegistry, Pipeline, Reference, Serving, component, with_fakes
from tiphys.compiler.compile import documents
from tiphys.engine import RunOptions
from tiphys.errors import DefinitionError
from tiphys.expr.evaluate import compile_expression, evaluate_bool
from tiphys.reference import file_digest
from tiphys.registry.audit import linear
from tiphys.runs.registry import Registry
from tiphys.step.registry import Written


def pipeline(image: str = "", *, asks: bool = True) -> Pipeline:
    registry = ModelRegistry("m")
    with Pipeline("train", image=image) as made:
        uri = made.param("uri", "pvc://tiphys/models/a")
        why = made.param("why", "")
        served = registry.baseline().named("served")
        registry.register(uri, report=served.report, alias="champion", why=why).after(served).named(
            "register"
        )
    return made


def run(store: Path, workflow: Any, **parameters: str) -> Any:
    result = tiphys.run(workflow, options=RunOptions(store=store, runner="process"), **parameters)
    assert result.succeeded, result.workflow["status"]
    return result


def test_what_one_run_registers_the_next_one_sees(tmp_path: Path) -> None:
    for name in ("a", "b"):
        model(tmp_path, name)
    run(tmp_path, pipeline(), why="first $(X) {")
    result = run(tmp_path, pipeline(), uri="pvc://tiphys/models/b")
    registry = Registry(tmp_path)
    assert registry.version("m", "champion").number == 2
    first, second = registry.audit("m")
    assert (first.why, first.before, first.after, second.before) == ("first $(X) {", None, 1, 1)
    assert second.who == result.workflow["metadata"]["name"] == registry.version("m", 2).run
    served = {
        each["displayName"]: each["outputs"]["parameters"]
        for each in result.workflow["status"]["nodes"].values()
        if each["displayName"] == "served"
    }["served"]
    told = {each["name"]: each["value"] for each in served}
    assert (told["found"], told["version"], told["uri"]) == ("true", "1", "pvc://tiphys/models/a")
    run(tmp_path, pipeline())  # it is that version already, and goes back to it
    assert [row.after for row in registry.audit("m")] == [1, 2, 1]


def slow(
    name: str, state: str, model: tiphys.Reference, report: str, alias: str, why: str, run: str, who: str
) -> Written:
    """The step, and somebody who is faster, once. ``why``: the store."""
    from tiphys.registry import to_alias
    from tiphys.registry.changes import By
    from tiphys.step.registry import register
    from tiphys.store import Store
    from tiphys.store.registry import LocalRegistry

    registry = LocalRegistry(Store(why))
    if len(registry.read(name).changes) < 2:
        other = f"other-{len(registry.read(name).changes)}"
        registry.change(name, lambda document: to_alias(document, other, 1, By("other", "now")))
    return register(name, state, model, report, alias, why, run, who)


def test_when_somebody_was_faster_it_is_done_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        model(tmp_path, name)
    registry = Registry(tmp_path)
    registry.register("m", "pvc://tiphys/models/a")
    registry.alias("m", "champion", 1)
    workflow = with_fakes(pipeline(), {"registry-register-m": slow})
    result = run(tmp_path, workflow, uri="pvc://tiphys/models/b", why=str(tmp_path))
    rows = registry.audit("m")
    assert linear(rows) == "" and [row.alias for row in rows] == [
        "champion",
        "other-1",
        "champion",
    ]
    late = [
        each["message"] for each in result.workflow["status"]["nodes"].values()
        if each["displayName"] == "registry-write-m" and each["phase"] == "Failed"
    ]  # fmt: skip
    assert len(late) == 1 and all(
        "(Conflict): Operation cannot be fulfilled on configmaps" in text for text in late
    )


def test_the_real_argo_lints_it(tmp_path: Path) -> None:
    assert tiphys.lint(pipeline()) == []
    assert argo_lint(tiphys.to_yaml(pipeline()), tmp_path) == ""


def test_names_are_refused_where_they_are_written() -> None:
    with pytest.raises(DefinitionError, match="TIP101"):
        ModelRegistry("Fashion")
    with Pipeline("p"), pytest.raises(DefinitionError, match="TIP101"):
        ModelRegistry("m").promote(1, alias="v1")


def test_promotion_and_rollback(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for name in ("a", "b"):
        registry.register("m", model(tmp_path, name))
    of_run = ModelRegistry("m")
    with Pipeline("p") as made:
        first = of_run.promote(1).named("first")
        second = of_run.promote(2).named("second").after(first)
        back = of_run.rollback(why="it was worse").named("back").after(second)
        of_run.promote(back.version, alias="stable").named("stable")
    run(tmp_path, made)
    assert [(row.alias, row.what, row.after) for row in registry.audit("m")] == [
        ("champion", "alias", 1), ("champion", "alias", 2), ("champion", "rollback", 1), ("stable", "alias", 1)
    ]  # fmt: skip


def test_what_is_refused_is_not_tried_again(tmp_path: Path) -> None:
    result = tiphys.run(
        pipeline(), options=RunOptions(store=tmp_path, runner="process"), uri="pvc://tiphys/models/none"
    )
    assert not result.succeeded
    said = {each["displayName"]: each for each in result.workflow["status"]["nodes"].values()}
    assert said["registry-refuse-m"]["phase"] == "Failed"
    assert not any("(1)" in name for name in said)
    assert Registry(tmp_path).read("m").versions == ()


def released(image: str = "", replicas: int = 2) -> Pipeline:
    registry, serving = ModelRegistry("m"), Serving("m", replicas=replicas)
    with Pipeline("release", image=image) as made:
        uri = made.param("uri", "pvc://tiphys/models/a")
        serving.release(registry, registry.register(uri))
    return made


@pytest.mark.parametrize("passes", [True, False])
def test_what_the_gate_refuses_changes_nothing(tmp_path: Path, passes: bool) -> None:
    registry = Registry(tmp_path)
    for name in ("a", "b"):
        registry.register("m", model(tmp_path, name))
    registry.alias("m", "champion", 1)
    of_run, serving = ModelRegistry("m"), Serving("m")
    with Pipeline("gated") as made:
        good = made.param("good", True)
        serving.release(of_run, of_run.register("pvc://tiphys/models/b"), when=good)
    faked = with_fakes(made, {"deploy-version": Fake(), "point": Fake(url="http://127.0.0.1:1")})
    result = run(tmp_path, faked, good="true" if passes else "false")
    phases = {each["displayName"]: each["phase"] for each in result.workflow["status"]["nodes"].values()}
    assert phases["point-m"] == ("Succeeded" if passes else "Omitted")
    assert registry.version("m", "champion").number == (2 if passes else 1)


def test_what_is_released_is_served_under_the_name_itself_and_ends_with_no_run(tmp_path: Path) -> None:
    text = tiphys.to_yaml(released())
    assert {each.code for each in tiphys.lint(released())} == {"L401"}  # nobody uses the URL
    assert argo_lint(text, tmp_path) == ""
    (workflow,) = documents(released())
    objects = {
        each["name"]: (
            each["resource"].get("setOwnerReference"),
            json.loads(_plain(each["resource"]["manifest"])),
        )
        for each in workflow["spec"]["templates"]
        if each["name"] in ("deploy-version", "point")
    }
    owned, deployment = objects["deploy-version"]
    assert not owned and deployment["metadata"]["name"] == "m-vVERSION"
    owned, service = objects["point"]
    assert not owned and service["metadata"] == {"name": "m", "labels": {"tiphys.dev/model-name": "m"}}
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"] == {
        "tiphys.dev/model-name": "m", "tiphys.dev/model-version": "vVERSION"
    }  # fmt: skip
    with Pipeline("p"), pytest.raises(DefinitionError, match="TIP105"):
        Serving("other").release(ModelRegistry("m"), ModelRegistry("m").register("pvc://a/b"))


def _plain(manifest: str) -> str:
    without = re.sub(r"{{=.*?uri.*?}}", "URI", manifest)
    return re.sub(r"{{=[^}]*inputs.parameters[^}]*version[^}]*}}", "VERSION", without)


def sealed(name: str, text: str) -> Reference:
    """A folder with this text; the same text gives the same reference."""
    from tiphys.reference import resolve, seal

    uri = f"pvc://tiphys/{name}"
    folder = resolve(uri)
    if folder.exists():
        return Reference(uri, file_digest(folder / "manifest.json"))
    folder.mkdir(parents=True)
    (folder / "content").write_text(text)
    return Reference(uri, seal(folder))


def ingested(day: str) -> Reference:
    return sealed(f"datasets/{day}", day)


class Trained(NamedTuple):
    model: Reference
    report: dict[str, object]


def fitted(dataset: Reference, initial: Reference | None = None) -> Trained:
    """Stands for a training: what it makes says what it began with."""
    began = initial.uri.rpartition("/")[2] if initial else "nothing"
    name = f"{dataset.uri.rpartition('/')[2]}-from-{began}"
    return Trained(sealed(f"models/{name}", name), {"test_accuracy": 0.9, "dataset": dataset.digest})


def weekly() -> Pipeline:
    """Trained when something asks for it, and then from what is served."""
    of_model = ModelRegistry("m")
    with Pipeline("weekly") as made:
        day, measured = made.param("day", "monday"), made.param("measured", "")
        data = component(ingested)(day=day)
        asked = of_model.due(data=data, max_age="30d", measured=measured).named("asked")
        trained = component(fitted)(dataset=data, initial=asked.model).when(asked.due)
        of_model.register(trained.model, report=trained.report, alias="champion", why=asked.summary)
    return made


def test_what_changed_decides_whether_it_is_trained(tmp_path: Path) -> None:
    check_weekly(lambda day: run(tmp_path, weekly(), day=day), Registry(tmp_path))


def check_weekly(start: Callable[[str], Any], registry: Registry) -> None:
    """Nothing is served, then nothing has changed, then there is other data."""
    phases = []
    for day in ("monday", "monday", "tuesday"):
        result = start(day)
        assert result.succeeded, result.workflow["status"]
        told = {each["displayName"]: each["phase"] for each in result.workflow["status"]["nodes"].values()}
        phases.append((told["fitted"], told["register-m"]))
    assert phases == [("Succeeded",) * 2, ("Skipped", "Omitted"), ("Succeeded",) * 2]
    first, second = registry.get("m").versions
    assert [first.uri, second.uri] == [
        "pvc://tiphys/models/monday-from-nothing",
        "pvc://tiphys/models/tuesday-from-monday-from-nothing",
    ]
    assert [row.why.partition(":")[2] for row in registry.audit("m")] == [
        " to be trained: nothing is served as m@champion",
        f" to be trained: new data: {second.report['dataset']}, version 1 was trained on {first.report['dataset']}",
    ]


def test_a_schedule_of_it_is_what_argo_accepts(tmp_path: Path) -> None:
    cron = weekly().as_cron("0 3 * * 1", timezone="Europe/Berlin")
    assert tiphys.lint(cron) == []
    assert argo_lint(json.dumps(cron), tmp_path) == ""


@pytest.mark.parametrize(
    ("wrong", "code"), [({"over": 3}, "TIP109"), ({"chance": 1.0}, "TIP109"), ({"max_age": "old"}, "TIP115")]
)
def test_what_nobody_could_say_is_refused(wrong: dict[str, Any], code: str) -> None:
    with Pipeline("p"), pytest.raises(DefinitionError, match=code):
        ModelRegistry("m").due(**wrong)


def test_of_two_that_make_the_registry_at_once_the_later_one_reads_it() -> None:
    """``kubectl apply`` looks and then creates; the message is a real controller's of 4.0.5."""
    message = (
        "main: Error (exit code 64): Error from server (AlreadyExists): error when creating "
        '"/tmp/manifest.yaml": configmaps "tiphys-models-m" already exists'
    )
    templates = {
        each["name"]: each
        for document in documents(pipeline("", asks=False))
        if document["kind"] == "Workflow"
        for each in document["spec"]["templates"]
    }
    program = compile_expression(templates["registry-read-m"]["retryStrategy"]["expression"])

    def again(said: str) -> bool:
        last = {"message": said, "status": "Failed", "exitCode": "64", "duration": 1.0}
        return evaluate_bool(program, {"lastRetry": last})

    assert again(message)
    assert not again(message.replace("AlreadyExists", "Forbidden").replace("already exists", "is forbidden"))
