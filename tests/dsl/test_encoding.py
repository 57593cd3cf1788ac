"""The text of a value is what the step's own decoder reads as that value again."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

import pytest

from tiphys.dsl.encoding import encode
from tiphys.step.codec import decode


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: float = 0.5


VALUES: list[tuple[Any, Any]] = [
    ("5", str),
    ('a "b" {c}', str),
    (5, int),
    (0.1, float),
    (True, bool),
    ("a", Literal["a", "b"]),
    (Colour.BLUE, Colour),
    (date(2026, 11, 29), date),
    (datetime(2026, 11, 29, 1, 2, 3), datetime),
    (timedelta(minutes=2), timedelta),
    ([1, 2], list[int]),
    ({"a": [0.5]}, dict[str, list[float]]),
    (Point(1), Point),
    ([Point(1), Point(2, 3.5)], list[Point]),
    ("5", int | str),
    (5, int | str),
]


@pytest.mark.parametrize(("value", "kind"), VALUES, ids=repr)
def test_the_step_reads_what_was_written(value: Any, kind: Any) -> None:
    text = encode(value, kind)
    assert text is not None
    found = decode(text, kind)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("5", int),
        (True, int),
        (5, str),
        ("c", Literal["a"]),
        ([1, "a"], list[int]),
        ({"z": 1}, Point),
        (1.5, bool),
    ],
    ids=repr,
)
def test_what_does_not_fit_has_no_text(value: Any, kind: Any) -> None:
    assert encode(value, kind) is None
