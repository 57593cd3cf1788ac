"""Paths of gjson in conditions of resources."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.expr.gjson import gjson

OBJECT: dict[str, Any] = {
    "status": {"phase": "Done", "replicas": 2, "share": 0.5, "whole": 3.0, "ready": True, "nothing": None},
    "list": [{"type": "a"}, {"type": "b"}],
    "a.b": "dotted",
}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("status.phase", "Done"),
        ("status.replicas", "2"),
        ("status.share", "0.5"),
        ("status.whole", "3"),
        ("status.ready", "true"),
        ("status.nothing", ""),
        ("status.none", None),
        ("status.phase.deeper", None),
        ("list.1.type", "b"),
        ("list.2.type", None),
        ("list.type", None),
        ("list.#", "2"),
        ("list.0", '{"type":"a"}'),
        (r"a\.b", "dotted"),
    ],
)
def test_paths(path: str, text: str | None) -> None:
    assert gjson(OBJECT, path) == text
