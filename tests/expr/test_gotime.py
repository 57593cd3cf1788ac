"""Go's layouts of times (questions/gotime.txt)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.expr.answers import agreed, differing, shown
from tiphys.expr.gotime import format_layout, parse_layout
from tiphys.expr.lexer import ExprError
from tiphys.expr.moments import text

Json = Any


def done(case: Json) -> str:
    """The time in its layout, or read by it."""
    if case["ask"] == "format":
        return format_layout(datetime.fromisoformat(case["text"]), case["other"])
    try:
        return text(parse_layout(case["text"], case["other"]))
    except ExprError:
        return "an error"


@pytest.mark.parametrize("case", agreed("gotime"), ids=shown)
def test_agrees_with_go(case: Json) -> None:
    assert done(case) == case.get("value", "an error")


@pytest.mark.parametrize("case", differing("gotime"), ids=shown)
def test_what_is_known_to_differ_still_differs(case: Json) -> None:
    assert done(case) != case.get("value", "an error")
