"""Parts that are not there are empty."""

from __future__ import annotations

from tiphys.importing.json_parts import at, items_of, rows_of
from tiphys.jsontypes import JsonObject


def test_what_is_not_there_is_empty() -> None:
    data: JsonObject = {"a": {"b": {"c": 1}}, "list": [1, {"x": 2}], "text": "t"}
    assert at(data, "a", "b") == {"c": 1}
    assert at(data, "a", "gone", "c") == at(data, "text", "b") == {}
    assert items_of(data["list"]) == [1, {"x": 2}] and items_of(data["text"]) == []
    assert rows_of(data["list"]) == [{"x": 2}]
