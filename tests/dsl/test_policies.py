"""What an author may say of a cache, and what is refused where it is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.dsl.library import train as trained
from tiphys import (
    Cache,
    DefinitionError,
    Fake,
    Gang,
    Pipeline,
    Reference,
    Semaphore,
    TFJob,
    component,
    lint,
    unless_data,
    while_metric,
    with_fakes,
)
from tiphys.argo.cache_mode import NOTHING_EARLIER
from tiphys.dsl.policies import Conditions

DATA = Reference("pvc://tiphys/d", "sha256:" + "0" * 64)


class Made(NamedTuple):
    accuracy: float
    label: str


def step(accuracy: float, records: int, data: Reference, schema: str = "a") -> Made:
    return Made(accuracy, schema)


def refused(make: Callable[[], Any]) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        make()
    assert caught.value.fix and "test_policies.py" in caught.value.where
    return caught.value


C = Cache.by_content


@pytest.mark.parametrize(
    ("code", "words", "make"),
    [
        ("TIP106", "Did you mean 'accuracy'", lambda: C() & while_metric("acuracy", ">=", 0.9)),
        ("TIP103", "Did you mean 'records'", lambda: C() & unless_data("record", grew=2.0)),
        ("TIP103", "nothing", lambda: C() & unless_data("records", grew=2.0, of="nothing")),
        ("TIP105", "not a number", lambda: C() & while_metric("label", ">=", 0.9)),
        ("TIP105", "not a number", lambda: C() & unless_data("schema", grew=2.0)),
    ],
)
def test_names_and_types_are_checked_with_the_step(code: str, words: str, make: Callable[[], Cache]) -> None:
    error = refused(lambda: component(step, cache=make()))
    assert error.code == code and words in error.message


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("TIP105", lambda: while_metric("accuracy", "=>", 0.9)),  # type: ignore[arg-type]
        ("TIP105", lambda: while_metric("accuracy", ">=", "0.9")),  # type: ignore[arg-type]
        ("TIP105", lambda: while_metric("accuracy", ">=", float("nan"))),
        ("TIP109", lambda: unless_data("records", grew=1.0)),
        ("TIP109", lambda: unless_data("records", grew="twice")),
        ("TIP109", lambda: unless_data("records", changed="0%")),
        ("TIP125", lambda: while_metric("a", ">=", 0.9) & while_metric("a", "<", 0.9)),
        ("TIP125", lambda: C() & while_metric("a", ">", 0.9) & while_metric("a", "<=", 0.5)),
        ("TIP125", lambda: Cache.never() & Cache.by_age("1d")),
        ("TIP125", lambda: Cache.refresh() & while_metric("a", ">", 0.9)),
        ("TIP125", lambda: while_metric("a", ">", 0.9) & Cache.never()),
        ("TIP105", lambda: component(step, cache=while_metric("accuracy", ">", 0.9))),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_policy_is_refused_where_it_is_written(code: str, make: Callable[[], Any]) -> None:
    assert refused(make).code == code


def test_conditions_are_added_in_any_order() -> None:
    one, two = while_metric("accuracy", ">=", 0.9), unless_data("records", grew="20%")
    assert (C() & one & two).conditions == (one & two & C()).conditions == (one & (two & C())).conditions
    assert next(iter(two.rules)).grew == pytest.approx(1.2)  # type: ignore[union-attr]
    assert while_metric("a", ">", 0.5) & while_metric("a", "<", 0.9)
    with pytest.raises(TypeError):
        one & 3


def test_both_must_allow_it() -> None:
    both = Cache.by_content("14d", ignore="x") & Cache.by_age("2d", version="2", single_flight=False)
    assert (both.max_age, both.code, both.version, both.single_flight) == ("48h", True, "2", False)
    assert both.ignore == {"x"}


def templates(cache: Cache, **more: Any) -> dict[str, Any]:
    work = component(step, cache=cache, **more)
    with Pipeline("p") as pipeline:
        work(
            accuracy=0.9, records=pipeline.param("records", 1), data=pipeline.param("data", "pvc://tiphys/d")
        )
    assert [f.code for f in lint(pipeline) if f.severity != "info"] == []  # type: ignore[operator]
    return {item["name"]: item for item in pipeline.to_dict()["spec"]["templates"]}


def test_never_is_no_cache_and_refresh_reads_nothing() -> None:
    assert "memoize" not in json.dumps(templates(Cache.never()))
    assert templates(Cache.refresh())["step"]["memoize"]["maxAge"] == NOTHING_EARLIER


def test_what_is_judged_is_not_in_the_key_and_the_generation_is() -> None:
    found = templates(C("14d") & unless_data("records", grew=2.0, of="data"), locks=[Semaphore("s", 2)])
    key, lock = found["step-kept"]["memoize"]["key"], found["step"]["synchronization"]["mutexes"][0]["name"]
    for name, there in (("accuracy", True), ("schema", True), ("records", False), ("data", False)):
        assert (f"inputs.parameters.{name}" in key) is there
        assert (f"inputs.parameters.{name}" in lock) is there
    assert "inputs.parameters.generation" in key and "generation" not in lock
    assert found["step-kept"]["memoize"]["maxAge"] == "336h"
    assert list(found["step-kept-run"]["synchronization"]) == ["semaphores"]
    assert "memoize" not in found["step"], "the guard is inside the mutex and outside the cache"
    assert not any("{{" in t["script"]["source"] for t in found.values() if "script" in t)


def test_a_training_is_judged_by_its_data() -> None:
    job = TFJob(trained, cache=C() & unless_data("data"), gang=Gang(capacity=4), workers=2)
    with Pipeline("p") as pipeline:
        job(data="pvc://tiphys/x")
    found = {item["name"]: item for item in pipeline.to_dict()["spec"]["templates"]}
    kept = found["train"]["dag"]["tasks"][1]["arguments"]["parameters"]
    assert {
        "name": "key",
        "value": "{{inputs.parameters.key}}-{{tasks.guard.outputs.parameters.generation}}",
    } in kept
    assert found["train"]["synchronization"]["mutexes"] == [{"name": "train-{{inputs.parameters.key}}"}]
    outside = found["main"]["dag"]["tasks"][0]["arguments"]["parameters"]
    assert "pvc://tiphys/x" not in next(item["value"] for item in outside if item["name"] == "key")
    assert [f.code for f in lint(pipeline) if f.severity != "info"] == []  # type: ignore[operator]


def test_where_there_is_no_place_for_the_file() -> None:
    work = component(step, cache=C() & while_metric("accuracy", ">=", 0.9))
    with Pipeline("p", volumes=[]) as pipeline:
        work(accuracy=0.9, records=1, data=DATA)
    assert refused(pipeline.to_dict).code == "TIP104"
    assert refused(work._build_template).code == "TIP113"


def test_nothing_is_a_condition_that_always_holds() -> None:
    assert not Conditions() and C().conditions == Conditions()


def test_a_guarded_step_can_be_faked_and_others_stay_as_they_are() -> None:
    work = component(step, cache=C() & while_metric("accuracy", ">=", 0.9))
    other = work.using(name="other")
    with Pipeline("p") as pipeline:
        for one in (work, other):
            one(accuracy=0.9, records=1, data=DATA)
    real = {t["name"]: t for t in pipeline.to_dict()["spec"]["templates"]}
    faked = with_fakes(pipeline, {"step": Fake(accuracy=0.5, label="x")})[-1]["spec"]["templates"]
    found = {t["name"]: t for t in faked}
    assert set(real) - set(found) == {"step-kept", "step-kept-run"}
    assert "script" in found["step"] and found["step"]["inputs"] == real["step"]["inputs"]
    assert all(found[name] == real[name] for name in found if name != "step")
