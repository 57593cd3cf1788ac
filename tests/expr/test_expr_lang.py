"""The evaluator beside expr-lang 1.17.8 and sprig 3.3.0: expected values were made by the Go libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tiphys.expr import gojson
from tiphys.expr.evaluate import ExprError, evaluate
from tiphys.expr.sprig import SPRIG

CASES = json.loads(Path(__file__).with_name("expr_lang.json").read_text())["cases"]
ENVIRONMENT: dict[str, Any] = {
    "inputs": {"parameters": {"x": "5", "y-z": "a b", "j": '{"k":[1,2]}'}},
    "tasks": {"a": {"status": "Succeeded"}},
    "sprig": SPRIG,
    "n": None,
    "i": 7,
    "f": 2.5,
    "s": "hello",
    "l": [3, 1, 2],
    "m": {"b": 1, "a": 2},
    "toJson": gojson.marshal,
}


@pytest.mark.parametrize("case", CASES, ids=[case["expression"] for case in CASES])
def test_agrees_with_go(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(ExprError):
            evaluate(case["expression"], ENVIRONMENT)
    else:
        assert gojson.marshal(evaluate(case["expression"], ENVIRONMENT)) == gojson.marshal(case["value"])


def test_errors_show_their_place() -> None:
    with pytest.raises(ExprError) as caught:
        evaluate("a.b.c ?? 'd'", {"a": {}})
    assert str(caught.value) == "cannot fetch c from <nil> (1:5)\n | a.b.c ?? 'd'\n | ....^"


@pytest.mark.parametrize(
    "text", ["__import__('os')", "a.__class__", "().__class__", "lambda: 1", "[x for x in y]"]
)
def test_nothing_of_python_can_be_reached(text: str) -> None:
    with pytest.raises(ExprError):
        evaluate(text, {"a": "text"})
