"""JSON Patch and JSON merge beside what the API server's library answered (recorded by record.py)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.argo.patches import DOCUMENT
from tiphys.argo.jsonpatch import PatchError, json_patch, merge_patch

Json = Any
RECORDED: list[Json] = json.loads((Path(__file__).parent / "patch.json").read_text(encoding="utf-8"))


def ours(asked: Json) -> Json:
    given = asked.get("original", DOCUMENT)
    original, patch = copy.deepcopy(given), copy.deepcopy(asked["patch"])
    try:
        return json_patch(original, patch) if asked["ask"] == "json" else merge_patch(original, patch)
    except PatchError:
        return "refused"
    finally:
        assert (original, patch) == (given, asked["patch"]), "what was given is changed"


@pytest.mark.parametrize("kind", ["json", "merge"])
def test_as_kubernetes_answers(kind: str) -> None:
    asked = [item for item in RECORDED if item["ask"] == kind]
    assert len(asked) >= 80
    for item in asked:
        assert ours(item) == item.get("is", "refused"), item


@pytest.mark.parametrize(
    ("operation", "after"),
    [
        ({"op": "add", "path": "/l/1", "value": "x"}, ["a", "x", "b"]),
        ({"op": "add", "path": "/l/-", "value": "x"}, ["a", "b", "x"]),
        ({"op": "copy", "from": "/l/0", "path": "/l/2"}, ["a", "b", "a"]),
        ({"op": "move", "from": "/l/0", "path": "/l/1"}, ["b", "a"]),
        ({"op": "replace", "path": "", "value": {"l": []}}, []),
        ({"op": "remove", "path": "/l/-1"}, ["a"]),  # kinder than RFC 6902, as the API server is
        ({"op": "test", "path": "/l", "value": ["a", "b"]}, ["a", "b"]),
    ],
)
def test_operations(operation: Json, after: Json) -> None:
    assert json_patch({"l": ["a", "b"]}, [operation]) == {"l": after}


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ({}, "a JSON patch must be a list of operations"),
        (["add"], "a JSON patch must be a list of operations"),
        ([{"path": "/l"}], "Unexpected kind: unknown"),
        ([{"op": "merge", "path": "/l"}], "Unexpected kind: merge"),
        ([{"op": "add", "path": 1}], "add operation failed to decode path"),
        ([{"op": "move", "path": "/a"}], "move operation failed to decode from"),
        ([{"op": "replace", "path": ""}], "replace operation has no value"),
        (
            [{"op": "add", "path": "/l/7", "value": 1}],
            "error in add for path: '/l/7': invalid index referenced: 7",
        ),
        ([{"op": "remove", "path": "/no"}], "remove operation does not apply: doc is missing key: /no"),
        ([{"op": "remove", "path": "/no/a"}], "remove operation does not apply: doc is missing path: /no/a"),
        (
            [{"op": "copy", "from": "/no/a", "path": "/b"}],
            "copy operation does not apply: doc is missing from path: /no/a",
        ),
        ([{"op": "test", "path": "/l/0", "value": 1}], "testing value /l/0 failed"),
        ([{"op": "test", "path": "/none"}], "testing value /none failed"),
    ],
)
def test_what_does_not_fit(operations: Json, message: str) -> None:
    with pytest.raises(PatchError) as raised:
        json_patch({"l": ["a", "b"]}, operations)
    assert str(raised.value) == message


def test_one_is_not_one_point_zero_nor_true() -> None:
    for value in (1.0, True, "1"):
        with pytest.raises(PatchError):
            json_patch({"a": 1}, [{"op": "test", "path": "/a", "value": value}])


def test_the_values_of_a_patch_are_not_shared() -> None:
    value: Json = {"x": []}
    patched = json_patch({}, [{"op": "add", "path": "/a", "value": value}])
    merged = merge_patch({"b": {}}, {"a": value, "b": value})
    for each in (patched["a"], merged["a"], merged["b"]):
        each["x"].append(1)
    assert value == {"x": []}


def test_a_merge() -> None:
    given = {"a": {"b": 1, "c": 2}, "l": [1], "d": 1}
    patch = {"a": {"b": None, "e": {"f": None}}, "l": [{"g": None}], "d": {"h": None}}
    assert merge_patch(given, patch) == {"a": {"c": 2, "e": {}}, "l": [{}], "d": {}}
