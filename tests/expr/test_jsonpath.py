"""Paths as the library that Argo calls reads them (questions/jsonpath.txt)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.expr.answers import agreed, differing, shown, theirs
from tiphys.expr import gojson
from tiphys.expr.jsonpath import query
from tiphys.expr.lexer import ExprError

Json = Any


def found(case: Json) -> str:
    """What the path selects, as JSON."""
    try:
        return gojson.marshal(query(json.loads(case["other"]), case["text"]))
    except ExprError:
        return "an error"


@pytest.mark.parametrize("case", agreed("jsonpath"), ids=shown)
def test_agrees_with_go(case: Json) -> None:
    assert found(case) == theirs(case)


@pytest.mark.parametrize("case", differing("jsonpath"), ids=shown)
def test_what_is_known_to_differ_still_differs(case: Json) -> None:
    assert found(case) != theirs(case)
