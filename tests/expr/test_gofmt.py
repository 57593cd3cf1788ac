"""Go's fmt (questions/gofmt.txt, questions/numbers.txt)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.expr.answers import agreed, shown
from tiphys.expr.gofmt import float_v, sprintf, v

Json = Any


def printed(case: Json) -> str:
    """What ``Sprintf`` makes of the case."""
    return sprintf(case["text"], *json.loads(case["values"]))


@pytest.mark.parametrize("case", agreed("gofmt"), ids=shown)
def test_agrees_with_go(case: Json) -> None:
    assert printed(case) == case["value"]


@pytest.mark.parametrize("case", [one for one in agreed("numbers") if "value" in one], ids=shown)
def test_numbers_are_printed_as_by_go(case: Json) -> None:
    assert float_v(float(case["text"])) == case["value"][0]


def test_a_tuple_is_a_list_and_what_go_does_not_know_is_its_text() -> None:
    assert v((1, "a")) == v([1, "a"])
    assert v(b"x") == str(b"x")
