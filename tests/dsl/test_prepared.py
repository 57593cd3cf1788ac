"""A step right before a training, inside the locks that admit its gang."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import tiphys
from tests.dsl import library
from tests.tools import argo_lint
from tiphys import Cache, Fake, Gang, Pipeline, TFJob, component, while_intact, with_fakes
from tiphys.engine import RunOptions


def look(data: str, seed: int = 7, often: int = 1) -> str:
    return f"{data} {seed} {often}"


def look_at(work: str) -> str:
    return work


def look_for(data: int) -> int:
    return data


def compiled(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    spec = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))[-1]["spec"]
    return {t["name"]: t for t in spec["templates"]}


def training(cache: Cache | None = None, **options: Any) -> Pipeline:
    with Pipeline("p") as pipeline:
        fit = TFJob(library.train, gang=Gang(capacity=4), cache=cache, **options)
        fit(data="d", **({"often": 3} if "prepare" in options else {}))
    return pipeline


def key(pipeline: Pipeline) -> str:
    (task,) = compiled(pipeline)["main"]["dag"]["tasks"]
    return next(each["value"] for each in task["arguments"]["parameters"] if each["name"] == "key")


CHECK = component(look, name="check")


def test_the_gang_is_admitted_before_it_and_the_job_begins_after_it(tmp_path: Path) -> None:
    pipeline = training(Cache.by_content(), prepare=CHECK)
    found = compiled(pipeline)
    assert set(found) == {"main", "train", "train-run", "train-job", "check"}
    assert "semaphores" in found["train-run"]["synchronization"]
    assert not {"synchronization", "memoize"} & set(found["train-job"])
    before, job = found["train-run"]["dag"]["tasks"]
    assert (before["template"], job["template"], job["depends"]) == ("check", "train-job", before["name"])
    given = {each["name"]: each["value"] for each in before["arguments"]["parameters"]}
    assert given == {name: f"{{{{inputs.parameters.{name}}}}}" for name in ("data", "seed", "often")}
    names = {each["name"] for each in found["train-job"]["inputs"]["parameters"]}
    assert names == {each["name"] for each in job["arguments"]["parameters"]}
    assert "often" not in names and "often" not in str(found["train-job"]["resource"])
    assert [each for each in tiphys.lint(pipeline) if each.severity != "info"] == []
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""


def test_it_says_nothing_about_the_result() -> None:
    assert key(training(Cache.by_content(), prepare=CHECK)) == key(training(Cache.by_content()))


@pytest.mark.parametrize("cache", [None, Cache.by_content() & while_intact()])
def test_without_a_cache_and_with_conditions(cache: Cache | None) -> None:
    found = compiled(training(cache, prepare=CHECK))
    holder = next(each for each in found.values() if "semaphores" in (each.get("synchronization") or {}))
    assert [task["template"] for task in holder["dag"]["tasks"]] == ["check", "train-job"]


def test_both_can_be_faked(tmp_path: Path) -> None:
    pipeline = training(Cache.by_content(), prepare=CHECK)
    model = Fake(model="pvc://tiphys/m")
    found = tiphys.run(with_fakes(pipeline, {"train": model}), options=RunOptions(store=tmp_path / "store"))
    assert found.phase == "Succeeded"
    assert "prepare" not in {node["displayName"] for node in found.workflow["status"]["nodes"].values()}
    failed = with_fakes(pipeline, {"check": Fake(exit_code=3)})
    left = tiphys.run(failed, options=RunOptions(store=tmp_path / "store"))
    assert left.phase == "Failed"
    assert "job" not in {
        node["displayName"]
        for node in left.workflow["status"]["nodes"].values()
        if node["phase"] != "Omitted"
    }


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ({"prepare": component(look_at)}, "TIP105", "'work'"),
        ({"prepare": component(look_for)}, "TIP105", "'data'"),
        ({"prepare": CHECK, "workers": (1, 4)}, "TIP109", "may not change"),
    ],
)
def test_what_does_not_go_together(options: dict[str, Any], code: str, text: str) -> None:
    with pytest.raises(tiphys.DefinitionError) as caught:
        TFJob(library.train, gang=Gang(capacity=4), **options)
    assert caught.value.code == code and text in caught.value.message
