"""Which kind of JSON a type is; the round trips are in tests/dsl/source/test_decoding.py."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from tiphys.step.kinds import as_json, form, is_model, quoted, time_of


class Level(Enum):
    LOW = 1


class Model(BaseModel):
    day: date


JSON: list[tuple[Any, str, object]] = [
    (str, "text", "a"),
    (date, "text", date(2026, 1, 1)),
    (datetime, "text", datetime(2026, 1, 1)),
    (timedelta, "seconds", timedelta(1)),
    (int, "number", 1),
    (float, "number", 0.5),
    (bool, "boolean", True),
    (list[int], "list", [1]),
    (dict[str, int], "object", {"a": 1}),
    (Model, "object", Model(day=date(2026, 1, 1))),
    (Literal["a"], "text", "a"),
]


@pytest.mark.parametrize(("kind", "expected", "value"), JSON, ids=str)
def test_the_form_is_that_of_the_json(kind: Any, expected: str, value: object) -> None:
    assert form(kind) == expected
    text = json.dumps(as_json(value))
    begins = {'"': "text", "{": "object", "[": "list", "t": "boolean"}.get(text[0], "number")
    assert begins == {"seconds": "number"}.get(expected, expected)


def test_what_does_not_say_it() -> None:
    assert form(Any) == form(Literal["a", 1]) == form(int | str) == ""
    assert form(Level) == "number" and form(type(None)) == "null"
    assert quoted(int | str) and not quoted(str | None) and not quoted(int | None)
    assert is_model(Model) and not is_model(Level) and not is_model(Model(day=date(2026, 1, 1)))


def test_times_come_back() -> None:
    for value in (date(2026, 1, 1), datetime(2026, 1, 1, 2), timedelta(microseconds=3)):
        assert time_of(str(as_json(value)), type(value)) == value
    with pytest.raises(ValueError):
        time_of("soon", date)
