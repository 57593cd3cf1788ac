"""The type of free JSON names the kinds of value that Python's own reader makes."""

from __future__ import annotations

import json
from typing import get_args, get_origin

from tiphys.jsontypes import Json, JsonObject


def test_json_is_what_pythons_reader_makes() -> None:
    made = {type(value) for value in json.loads('[null, true, 1, 1.5, "a", [], {}]')}
    assert {get_origin(kind) or kind for kind in get_args(Json)} == made


def test_an_object_is_what_pythons_reader_makes_of_braces() -> None:
    assert get_origin(JsonObject) is type(json.loads("{}"))
