"""A cached step that is retried: the cache is on a DAG around it, since Argo hangs at a hit that has both."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dsl.library import train
from tiphys import Cache, Gang, Mutex, Pipeline, Retry, Semaphore, TFJob, component
from tiphys.dsl.cached_retry import joined, split


@component(cache=Cache.by_content(max_age="1d"), retry=Retry(limit=1))
def measure(text: str) -> int:
    return len(text)


@component
def tell(number: int) -> str:
    return str(number)


def templates() -> dict[str, Any]:
    with Pipeline("cached") as pipeline:
        tell(number=measure(text=pipeline.param("text", "abc")))
    return {item["name"]: item for item in pipeline.to_dict()["spec"]["templates"]}


def test_no_template_has_both() -> None:
    found = templates()
    assert [name for name, item in found.items() if "memoize" in item and "retryStrategy" in item] == []
    outer, inner = found["measure"], found["measure-run"]
    assert {"annotations", "memoize", "synchronization", "dag", "inputs", "outputs", "name"} == set(outer)
    assert "retryStrategy" in inner and "memoize" not in inner and "synchronization" not in inner
    assert outer["dag"]["tasks"] == [
        {
            "name": "run",
            "template": "measure-run",
            "arguments": {"parameters": [{"name": "text", "value": "{{inputs.parameters.text}}"}]},
        }
    ]
    assert outer["outputs"]["parameters"] == [
        {"name": "result", "valueFrom": {"parameter": "{{tasks.run.outputs.parameters.result}}"}}
    ]


BOTH: dict[str, Any] = {
    "name": "train",
    "inputs": {
        "parameters": [{"name": "x"}, {"name": "y", "default": "1"}],
        "artifacts": [{"name": "data", "path": "/data"}],
    },
    "outputs": {"artifacts": [{"name": "model", "path": "/model"}]},
    "memoize": {"key": "k"},
    "retryStrategy": {"limit": "2"},
    "container": {"image": "a"},
}


def test_artifacts_are_handed_through() -> None:
    outer, inner = split(BOTH)
    assert outer["inputs"]["artifacts"] == [{"name": "data"}]
    assert outer["dag"]["tasks"][0]["arguments"]["artifacts"] == [
        {"name": "data", "from": "{{inputs.artifacts.data}}"}
    ]
    assert outer["outputs"] == {
        "artifacts": [{"name": "model", "from": "{{tasks.run.outputs.artifacts.model}}"}]
    }
    assert inner["inputs"] == BOTH["inputs"]
    assert inner["outputs"] == BOTH["outputs"]


@pytest.mark.parametrize("absent", ["memoize", "retryStrategy"])
def test_others_stay_as_they_are(absent: str) -> None:
    body = {key: value for key, value in BOTH.items() if key != absent}
    assert split(body) == [body]


def test_joined_is_the_inverse() -> None:
    other = {"name": "other-run", "container": {"image": "b"}}
    assert joined([*split(BOTH), other]) == [BOTH, other]


@component(cache=Cache.by_content(), locks=[Semaphore("slots", 4), Mutex("scale")])
def weigh(text: str) -> int:
    return len(text)


def test_a_semaphore_is_around_the_work_and_the_mutex_of_the_key_around_the_cache() -> None:
    """A hit takes no slot, and equal runs wait for each other only (Argo locks before it looks into a cache)."""
    with Pipeline("locked") as pipeline:
        weigh(text="abc")
    found = {item["name"]: item for item in pipeline.to_dict()["spec"]["templates"]}
    outer, inner = found["weigh"], found["weigh-run"]
    assert outer["synchronization"] == {"mutexes": [{"name": outer["memoize"]["key"]}]}
    assert "memoize" not in inner
    assert [s["configMapKeyRef"]["key"] for s in inner["synchronization"]["semaphores"]] == ["slots"]
    assert inner["synchronization"]["mutexes"] == [{"name": "scale"}]
    whole = {item["name"]: item for item in joined(found.values())}["weigh"]
    assert len(whole["synchronization"]["mutexes"]) == 2 and "semaphores" in whole["synchronization"]


def test_a_gang_that_is_cached_takes_its_slots_inside() -> None:
    job = TFJob(train, cache=Cache.by_content(), gang=Gang(capacity=4), workers=2, retry=False)
    with Pipeline("trained") as pipeline:
        job(data="pvc://tiphys/x")
    found = {item["name"]: item for item in pipeline.to_dict()["spec"]["templates"]}
    assert "semaphores" not in found["train"]["synchronization"]
    assert [m["name"] for m in found["train"]["synchronization"]["mutexes"]] == [
        "train-{{inputs.parameters.key}}"
    ]
    assert list(found["train-run"]["synchronization"]) == ["semaphores"]


def test_locks_without_a_cache_stay_where_they_are() -> None:
    with Pipeline("plain") as pipeline:
        weigh.using(cache=None)(text="abc")
    assert "weigh-run" not in {item["name"] for item in pipeline.to_dict()["spec"]["templates"]}
