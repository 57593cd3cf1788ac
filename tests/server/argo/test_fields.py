"""``fields`` of a request: the cases of Argo's own util/fields, by what its rules say."""

from __future__ import annotations

import pytest

from tiphys.server.argo.fields import FieldMask

ITEM = {"a": 1, "b": {"c": 2, "d": {"e": 3}}, "list": [{"x": 1, "y": 2}, {"x": 3}]}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", ITEM),
        ("a", {"a": 1}),
        ("b.c", {"b": {"c": 2}}),
        ("b", {"b": ITEM["b"]}),
        ("list.x", {"list": [{"x": 1}, {"x": 3}]}),
        ("-a", {"b": ITEM["b"], "list": ITEM["list"]}),
        ("-b.d,list.x", {"a": 1, "b": {"c": 2}, "list": [{"y": 2}, {}]}),
        ("nothing", {}),
    ],
)
def test_what_is_left(text: str, left: object) -> None:
    assert FieldMask(text).of(ITEM) == left


def test_what_is_not_wanted_need_not_be_read() -> None:
    assert FieldMask("-items.status.nodes").excludes("items.status.nodes")
    assert FieldMask("items.metadata").excludes("items.status.nodes")
    assert not FieldMask("items.status").excludes("items.status.nodes")
    assert not FieldMask("-items.spec").excludes("items.status.nodes")
    assert not FieldMask("").excludes("items.status.nodes")


def test_a_workflow_keeps_the_parts_that_its_type_has() -> None:
    mask = FieldMask("result.object.metadata.name", "result.object.")
    found = mask.workflow({"metadata": {"name": "a", "uid": "b"}, "spec": {"x": 1}, "status": {"phase": "y"}})
    assert found["metadata"] == {"name": "a"}
    assert found["spec"] == {"arguments": {}}
    assert found["status"] == {"startedAt": None, "finishedAt": None}
