"""Which outputs the compiler lets a step hand on as files: those that only steps take."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from tiphys import (
    Cache,
    Pipeline,
    Reference,
    Volume,
    collect,
    component,
    compose,
    dag,
    for_each,
    raw,
    while_metric,
)


class Made(NamedTuple):
    text: str
    rows: list[dict[str, str]]
    score: float
    data: Reference


@component(cache=Cache.by_content())
def make(letter: str) -> Made: ...


@component(cache=Cache.by_content())
def rows(letter: str) -> list[str]: ...


@component
def read(text: str) -> str: ...


@component
def points(data: Reference) -> None: ...


@component
def several(texts: list[str]) -> str: ...


@component
def clean(text: str) -> None: ...


@dag
def through(text: str) -> str:
    read(text=text)
    return make(letter="z").text


@dag
def looks(text: str) -> None:
    read(text="x").when(text == "x")


@contextmanager
def pipeline(**more: Any) -> Iterator[Pipeline]:
    with Pipeline("p", **{"volumes": [Volume("c"), Volume("d")], **more}) as made:
        yield made


def long(made: Pipeline) -> dict[str, list[str]]:
    """Of each step the outputs that may be files."""
    found = {}
    for template in made.to_dict()["spec"]["templates"]:
        env = (template.get("script") or {}).get("env") or []
        for item in env:
            if item["name"] == "TIPHYS_LARGE":
                said = json.loads(item["value"])
                assert said["claim"] == "c"
                found[template["name"]] = said["outputs"]
    return found


USES: dict[str, tuple[Callable[[Any], object], list[str]]] = {
    "nothing": (lambda made: None, ["text", "rows"]),
    "a step": (lambda made: read(text=made.text), ["text", "rows"]),
    "a step in a loop": (lambda made: several(texts=rows(letter="b")), ["text", "rows"]),
    "a graph": (lambda made: through(text=made.text), ["text", "rows"]),
    "a step at the end": (lambda made: read(text="x").on_exit(clean, text=made.text), ["text", "rows"]),
    "a condition": (lambda made: read(text="x").when(made.text == "x"), ["rows"]),
    "both": (lambda made: read(text=made.text).when(made.text != ""), ["rows"]),
    "a loop": (lambda made: read(text=for_each(made.rows)["a"]), ["text"]),
    "a composed text": (lambda made: read(text=compose("{x}", x=made.text)), ["rows"]),
    "a list": (lambda made: several(texts=[made.text, "x"]), ["rows"]),
    "a collected list": (lambda made: several(texts=collect(made.text)), ["rows"]),
    "raw text": (lambda made: read(text=raw("{{tasks.make.outputs.parameters.text}}")), []),
    "a graph that looks": (lambda made: looks(text=made.text), ["rows"]),
    "a default": (lambda made: read(text=made.text.optional("x")), ["rows"]),
}


@pytest.mark.parametrize("use", USES)
def test_what_only_steps_take_may_be_a_file(use: str) -> None:
    taken, expected = USES[use]
    with pipeline() as made:
        taken(make(letter="a"))
    assert long(made).get("make", []) == expected


def test_what_a_looped_step_makes_is_a_list_of_argo() -> None:
    with pipeline() as made:
        several(texts=make(letter=for_each(["a", "b"])).text)
    assert long(made) == {"make": ["rows"]}


def test_what_a_graph_returns_is_followed() -> None:
    with pipeline() as one:
        read(text=through(text="x"))
    assert long(one) == {"make": ["text", "rows"]}
    with pipeline() as other:
        read(text="x").when(through(text="x").result == "y")
    assert long(other) == {"make": ["rows"]}


def test_what_the_workflow_shows_or_a_guard_judges_is_text() -> None:
    shown = make.using(exports={"text": "all"})
    judged = make.using(cache=Cache.by_content() & while_metric("score", ">=", 0.5), name="judged")
    with pipeline() as made:
        shown(letter="a")
        judged(letter="a")
    assert long(made) == {"make": ["rows"], "judged-kept-run": ["text", "rows"]}


def test_without_a_cache_or_a_volume_all_is_text() -> None:
    with pipeline() as plain:
        make.using(cache=None)(letter="a")
        make.using(cache=Cache.never(), name="never")(letter="a")
    with pipeline(volumes=[]) as homeless:
        make(letter="a")
    assert long(plain) == long(homeless) == {}


def keys(made: Pipeline) -> list[str]:
    return [t["memoize"]["key"] for t in made.to_dict()["spec"]["templates"] if "memoize" in t]


def test_where_a_value_may_lie_is_in_the_key_and_nothing_else_is() -> None:
    def one(volume: str = "c", looks: bool = False) -> list[str]:
        with pipeline(volumes=[Volume(volume)]) as made:
            task = make(letter="a")
            read(text="x").when(task.text == "x") if looks else read(text=task.text)
        return keys(made)

    assert len({*one(), *one("d"), *one(looks=True)}) == 3
    with pipeline(volumes=[Volume("c")]) as alone:
        make(letter="a")
    assert keys(alone) == one()


def test_the_scripts_of_those_that_need_it_have_the_part_of_tiphys() -> None:
    with pipeline() as made:
        read(text=make(letter="a").text)
        several(texts=["x"])
    sources = {t["name"]: t["script"]["source"] for t in made.to_dict()["spec"]["templates"] if "script" in t}
    assert {name for name, source in sources.items() if "tiphys_large" in source} == {"make", "read"}
    assert all(len(source) < 7500 and "{{" not in source for source in sources.values())
