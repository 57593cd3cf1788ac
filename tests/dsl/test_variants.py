"""Options for one call: another template, named by what is other, and the same result from the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import tiphys
from tests.tools import argo_lint
from tiphys import (
    Cache,
    DefinitionError,
    Fake,
    Mutex,
    Pipeline,
    PodSettings,
    Resources,
    Retry,
    Secret,
    component,
    dag,
    for_each,
    with_fakes,
)
from tiphys.dsl.component_options import ComponentOptions, changed
from tiphys.dsl.variants import variant_name
from tiphys.engine import RunOptions

BIG = Resources(memory="8Gi")


@component(cache=Cache.by_content())
def train(rate: float = 0.1) -> float:
    return rate * 2


@component
def show(rates: list[float]) -> None:
    pass


@dag
def inner() -> float:
    return train().result


def spec_of(pipeline: Pipeline) -> dict[str, Any]:
    spec: dict[str, Any] = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))[-1]["spec"]
    return spec


def test_equal_options_are_one_template_whose_name_is_stable(tmp_path: Path) -> None:
    with Pipeline("p") as pipeline:
        train()
        train(rate=0.2).using(resources=Resources(memory="8Gi"))
        train(rate=0.3).using(retry=Retry(3)).using(resources=BIG)
        train(rate=0.4).using(resources=BIG)
        train(rate=0.5).using(resources=BIG, retry=Retry(3))
    spec = spec_of(pipeline)
    tasks = {each["name"]: each["template"] for each in spec["templates"][0]["dag"]["tasks"]}
    assert list(tasks) == ["train", "train-2", "train-3", "train-4", "train-5"]
    assert tasks["train"] == "train"
    assert tasks["train-2"] == tasks["train-4"] == "train-8ebf41"
    assert tasks["train-3"] == tasks["train-5"]
    assert len(set(tasks.values())) == 3
    named = {each["name"]: each for each in spec["templates"]}
    assert named[tasks["train-2"]]["script"]["resources"]["limits"]["memory"] == "8Gi"
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    assert tiphys.run(pipeline, options=RunOptions(store=tmp_path / "store")).succeeded


def test_a_result_is_found_whatever_the_pod_was_like(tmp_path: Path) -> None:
    with Pipeline("p") as plain:
        train()
    with Pipeline("p") as larger:
        train().using(
            resources=BIG, secrets=[Secret("s3", optional=True)], pod=PodSettings(labels={"a": "b"})
        )
    options = RunOptions(store=tmp_path)
    assert tiphys.run(plain, options=options).succeeded
    nodes = tiphys.run([larger, _secret()], options=options).workflow["status"]["nodes"].values()
    (node,) = (each for each in nodes if each["displayName"] == "train")
    assert node["memoizationStatus"]["hit"]


def _secret() -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}, "stringData": {"k": "v"}}


def test_it_goes_with_loops_orders_and_fakes(tmp_path: Path) -> None:
    with Pipeline("p") as pipeline:
        first = train().using(cache=None, env={"A": "1"}).named("first")
        each = train(rate=for_each([0.1, 0.2])).using(resources=BIG).after(first)
        show(rates=each.result)
    spec = spec_of(pipeline)
    names = [each["name"] for each in spec["templates"] if each["name"].startswith("train-")]
    assert len(names) == 2
    assert tiphys.run(pipeline, options=RunOptions(store=tmp_path)).succeeded
    for fakes in ({"train": Fake(result=1.0)}, {names[0]: Fake(result=1.0)}):
        faked = with_fakes(pipeline, {"show": Fake(), **fakes})
        bodies = {each["name"]: str(each) for each in faked[-1]["spec"]["templates"]}
        assert ["rate * 2" not in bodies[name] for name in names] == [True, "train" in fakes]
        assert tiphys.run(faked, options=RunOptions(store=tmp_path)).succeeded


def test_the_options_of_the_component_itself_are_no_others() -> None:
    with Pipeline("p") as pipeline:
        train().using(retry=None)
        train().using(resources=BIG).using(resources=Resources(cpu="100m", memory="256Mi"))
    assert {each["template"] for each in spec_of(pipeline)["templates"][0]["dag"]["tasks"]} == {"train"}


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (lambda: train().using(memory="8Gi"), "TIP103", "no option 'memory'"),
        (lambda: train().using(name="x"), "TIP103", "named("),
        (lambda: train().using(resources="8Gi"), "TIP105", "Resources("),
        (lambda: inner().using(resources=BIG), "TIP103", "only a component"),
        (lambda: train(resources=BIG), "TIP103", "train(…).using(resources=…)"),
        (lambda: train().use_secret_as_env(), "TIP106", "Secret("),
        (lambda: train().mount_pvc(), "TIP106", "PodSettings("),
    ],
)
def test_what_is_wrong_is_told_at_its_line(call: Any, code: str, words: str) -> None:
    with Pipeline("p"), pytest.raises(DefinitionError) as caught:
        call()
    assert caught.value.code == code
    assert words in str(caught.value)
    assert "test_variants.py:" in caught.value.where


def test_a_name_says_nothing_about_lines() -> None:
    own = ComponentOptions()
    one = changed(own, {"locks": [Mutex("a")], "cache": Cache.by_content(ignore=["b", "a"])})
    other = changed(own, {"cache": Cache.by_content(ignore=["a", "b"]), "locks": [Mutex("a")]})
    assert variant_name("train", own, one) == variant_name("train", own, other)
    assert len(variant_name("t" * 63, own, one)) == 63
    assert variant_name("train", own, own) == "train"
