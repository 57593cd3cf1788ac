"""The pieces of a loop's templates, evaluated by the expression language that Argo has."""

from __future__ import annotations

import json

import pytest

from tiphys.dsl.loop_parts import joined, later
from tiphys.expr.evaluate import evaluate

LISTS = ["[]", '["a"]', '["a]","[b"]', '[{"x":[1]},{"y":12345678901234567890}]', '[["é",","]]']


@pytest.mark.parametrize("first", LISTS)
@pytest.mark.parametrize("then", LISTS)
def test_lists_are_joined_as_they_are(first: str, then: str) -> None:
    text = evaluate(joined("a", "b"), {"a": first, "b": then})
    assert json.loads(str(text)) == json.loads(first) + json.loads(then)


@pytest.mark.parametrize(
    ("rest", "value"),
    [
        ({"status": "Skipped"}, "[]"),  # 4.0
        ({"outputs": {"parameters": {"done-items": None}}}, "[]"),  # 4.1
        ({"outputs": {"parameters": {"done-items": '["a"]'}}}, '["a"]'),
    ],
)
def test_rounds_that_did_not_begin_gave_nothing(rest: dict[str, object], value: str) -> None:
    assert evaluate(later("done-items"), {"steps": {"rest": rest}}) == value
