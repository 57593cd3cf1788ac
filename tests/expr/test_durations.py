"""Go's durations (questions/durations.txt), and Argo's looser ones."""

from __future__ import annotations

from typing import Any

import pytest

from tests.expr.answers import agreed, shown
from tiphys.expr.durations import format_go, parse_go, parse_nanoseconds

Json = Any
READ = [case for case in agreed("durations") if "value" in case]
REFUSED = [case for case in agreed("durations") if "error" in case]


@pytest.mark.parametrize("case", READ, ids=shown)
def test_what_go_reads(case: Json) -> None:
    assert parse_nanoseconds(case["text"]) == case["value"][0]
    assert parse_go(case["text"]) == case["value"][0] / 1e9


@pytest.mark.parametrize("case", REFUSED, ids=shown)
def test_what_go_refuses_in_its_words(case: Json) -> None:
    with pytest.raises(ValueError) as caught:
        parse_go(case["text"])
    assert str(caught.value) == case["error"]


@pytest.mark.parametrize(
    "case", [case for case in READ if abs(case["value"][0]) < 2**53], ids=shown
)  # a float of seconds holds no more
def test_durations_are_written_as_by_go(case: Json) -> None:
    assert format_go(case["value"][0] / 1e9) == case["value"][1]
