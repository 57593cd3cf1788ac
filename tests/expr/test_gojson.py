"""JSON as Go writes it: numbers of questions/numbers.txt, and the same as Python's where the two agree."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.expr.answers import agreed, shown
from tiphys.expr.gojson import AnyMap, float_text, marshal, marshal_indent, unmarshal

Json = Any
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("case", [one for one in agreed("numbers") if "value" in one], ids=shown)
def test_numbers_are_written_as_by_go(case: Json) -> None:
    text, written = case["text"], case["value"][1]
    if written.startswith("json: "):
        with pytest.raises(ValueError) as caught:
            float_text(float(text))
        assert str(caught.value) == written
    else:
        assert float_text(float(text)) == written


@given(ANY)
def test_what_is_written_is_read_back(value: Json) -> None:
    assert unmarshal(marshal(value), floats=True) == value
    assert unmarshal(marshal_indent(value), floats=True) == value


@given(st.dictionaries(st.text(st.characters(codec="ascii", exclude_characters='<>&"\\\x7f')), st.integers()))
def test_of_plain_things_it_is_pythons(value: Json) -> None:
    assert marshal(value) == json.dumps(value, separators=(",", ":"), sort_keys=True)
    assert marshal(value, sort=False) == json.dumps(value, separators=(",", ":"))


def test_html_and_line_separators_are_escaped() -> None:
    # encoding/json: "<", ">", "&", U+2028 and U+2029 are escaped so that the text is safe inside HTML
    assert marshal("<a> & \u2028\u2029") == r'"\u003ca\u003e \u0026 \u2028\u2029"'


def test_every_number_is_a_float_where_go_decodes_into_an_interface() -> None:
    read = unmarshal("[1, 2.5]", floats=True)
    assert read == [1.0, 2.5] and all(type(number) is float for number in read)


def test_times_and_durations_are_written_as_go_marshals_them() -> None:
    assert marshal(datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)) == '"2024-02-03T04:05:06Z"'
    assert marshal(timedelta(seconds=1.5)) == "1500000000"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (lambda: 1, "func()"),
        (AnyMap([(1, 2)], "interface {}"), "map[interface {}]interface {}"),
        (b"x", "bytes"),
    ],
)
def test_what_json_cannot_hold(value: Json, kind: str) -> None:
    with pytest.raises(TypeError) as caught:
        marshal(value)
    assert str(caught.value) == f"json: unsupported type: {kind}"
