"""What Go's encoding/json says of texts (questions/gojson_scan.txt), and JSON in parts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.expr.answers import agreed, shown
from tiphys.expr.gojson_scan import compact, elements, members, squeezed, syntax_error

Json = Any
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("case", agreed("gojson_scan", "json"), ids=shown)
def test_what_is_wrong_in_the_words_of_go(case: Json) -> None:
    assert syntax_error(case["text"]) == case.get("error", "")


@pytest.mark.parametrize("case", agreed("gojson_scan", "compact"), ids=shown)
def test_a_raw_message_is_written_as_by_go(case: Json) -> None:
    assert compact(case["text"]) == case["value"]


@given(ANY, st.sampled_from([None, 1, 4]))
def test_what_python_writes_is_json_in_any_layout(value: Json, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assert syntax_error(text) == ""
    assert json.loads(squeezed(text)) == value


@given(st.lists(ANY), st.sampled_from([None, 2]))
def test_the_elements_of_a_list_are_its_parts(value: list[Json], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assert [json.loads(part) for part in elements(text)] == value


@given(st.dictionaries(st.text(), ANY), st.sampled_from([None, 2]))
def test_the_members_of_an_object_are_its_parts(value: dict[str, Json], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assert {name: json.loads(part) for name, part in members(text)} == value


def test_the_spelling_of_numbers_is_kept() -> None:
    assert list(elements("[1.50, 1e3, -0]")) == ["1.50", "1e3", "-0"]
    assert list(members('{"a": 1.0, "b": [ 2.0 ]}')) == [("a", "1.0"), ("b", "[ 2.0 ]")]
