"""The registry in a pipeline: the compiled YAML on the local engine; tests/cluster runs the same on the real one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tests.runs.test_registry import model
from tests.tools import argo_lint
from tiphys import Fake, ModelRegistry, Pipeline, Serving, with_fakes
from tiphys.compiler import documents
from tiphys.engine import RunOptions
from tiphys.errors import DefinitionError
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
