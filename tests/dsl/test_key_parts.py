"""The parts of a key stand beside it: what changes the key changes a part."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tiphys import Cache, Pipeline, Reference, Retry, component, to_yaml
from tiphys.argo.memo import KEY_PARTS, parts_of


def templates(cache: Cache, **options: Any) -> dict[str, Any]:
    @component(cache=cache, **options)
    def work(data: Reference, x: int, note: str = "") -> str:
        return f"{data} {x}"

    with Pipeline("p") as pipeline:
        work(data=Reference("pvc://tiphys/x", "sha256:" + "0" * 64), x=1)
    spec = yaml.safe_load(to_yaml(pipeline))["spec"]
    return {each["name"]: each for each in spec["templates"]}


def said(found: dict[str, Any]) -> Any:
    return json.loads(found["work"]["annotations"][KEY_PARTS])


def test_what_the_key_is_of() -> None:
    found = said(
        templates(Cache.by_content(version="2", ignore="note"), image="i:1", env={"B": "b", "A": "{{x}}"})
    )
    assert {name: found[name] for name in ("image", "version", "env.A", "env.B", "inputs", "references")} == {
        "image": "i:1",
        "version": "2",
        "env.A": "{{x}}",
        "env.B": "b",
        "inputs": ["x"],
        "references": ["data"],
    }
    assert found["code"]


def test_argo_sees_no_tag_in_it() -> None:
    text = templates(Cache.by_content(), env={"A": "{{workflow.name}}"})["work"]["annotations"][KEY_PARTS]
    assert "{{" not in text


def test_where_the_code_does_not_count() -> None:
    found = said(templates(Cache.by_age("1h")))
    assert found["scope"].endswith("p/work")
    assert not {"code", "image"} & set(found)


def test_they_stand_beside_the_key_also_when_the_work_is_inside() -> None:
    found = templates(Cache.by_content(), retry=Retry(1), title="A-title")
    assert list(found["work"]["annotations"]) == [KEY_PARTS]
    assert list(found["work-run"]["annotations"]) == ["workflows.argoproj.io/display-name"]
    assert "annotations" not in templates(Cache.by_content(), retry=Retry(1))["work-run"]


@pytest.mark.parametrize(
    "other",
    [
        lambda: templates(Cache.by_content(), image="i:2"),
        lambda: templates(Cache.by_content(version="2"), image="i:1"),
        lambda: templates(Cache.by_content(), image="i:1", env={"A": "1"}),
        lambda: templates(Cache.by_content(ignore="x"), image="i:1"),
    ],
)
def test_another_key_has_another_part(other: Callable[[], dict[str, Any]]) -> None:
    before, after = templates(Cache.by_content(), image="i:1"), other()
    assert before["work"]["memoize"]["key"] != after["work"]["memoize"]["key"]
    assert parts_of(before["work"]) != parts_of(after["work"])
