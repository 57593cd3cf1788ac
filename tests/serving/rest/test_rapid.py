"""Request bodies beside the real RapidJSON 1.1.0 (rapidjson.json, record_rapidjson.py)."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from tiphys.serving.model import ModelError
from tiphys.serving.rest import rapid, read, write

DEEP = "[" * 2000 + "]" * 2000  # Python's own reader, which reads the record, does not go so deep
CASES = json.loads(Path(__file__).with_name("rapidjson.json").read_text(encoding="utf-8"))
READABLE = [case for case in CASES if case["body"] != DEEP]


def first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


def alike(one: Any, other: Any) -> bool:
    """Equal; a double may differ in its last digits, which RapidJSON does not read exactly."""
    if isinstance(one, float) or isinstance(other, float):
        return one == other or math.isclose(one, other, rel_tol=1e-14) or (one != one and other != other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)


def rough(text: str) -> str:
    """Long numbers told to twelve digits: RapidJSON's doubles, and how it writes them, are not exact."""
    return re.sub(
        r"\d[\d.]{15,}(e\d+)?", lambda match: f"{float(match.group()):.12g}".replace("e+", "e"), text
    )


def doubled(case: dict[str, Any]) -> bool:
    """Whether a name stands twice: what comes second is read by nobody, but is repeated by RapidJSON (not by us)."""
    return "ab" in case["body"] and "a\\u0062" in case["body"]


def words(message: str) -> str:
    """Without the marks around a bracket; a control character in a string is of either of two kinds."""
    message = message.replace("'", "")
    return message.replace("Invalid escape character in string", "Invalid encoding in string")


def short(case: dict[str, Any]) -> str:
    return repr(case["body"][:40])


@pytest.mark.parametrize("case", READABLE, ids=short)
def test_the_careful_parser_is_rapidjson(case: dict[str, Any]) -> None:
    body = case["body"].encode("latin-1")
    try:
        found = rapid.parse(body)
    except rapid.ParseError as error:
        assert (words(error.message), error.offset) == (words(case.get("error", "")), case.get("offset"))
        return
    text = case["value"].encode("latin-1").decode("utf-8", "surrogateescape")
    assert alike(found, json.loads(text, object_pairs_hook=first_wins, strict=False))


@pytest.mark.parametrize("case", [case for case in READABLE if case["body"]], ids=short)
def test_a_request_is_read_as_rapidjson_reads_it(case: dict[str, Any]) -> None:
    body = case["body"].encode("latin-1")
    try:
        document = read.parse(body)
    except ModelError as error:
        if "error" in case:
            said = f"JSON Parse error: {case['error']} at offset: {case['offset']}"
            assert words(error.message) == words(said)
        else:
            shown = case["shown"].encode("latin-1").decode("utf-8", "surrogateescape")
            assert rough(error.message) == rough(f"JSON Value: {shown} Is not object")
    else:
        text = case["value"].encode("latin-1").decode("utf-8", "surrogateescape")
        assert alike(document, json.loads(text, object_pairs_hook=first_wins, strict=False))


@pytest.mark.parametrize("case", [case for case in CASES if "shown" in case and not doubled(case)], ids=short)
def test_an_error_text_repeats_what_tensorflow_serving_repeats(case: dict[str, Any]) -> None:
    shown = case["shown"].encode("latin-1").decode("utf-8", "surrogateescape")
    assert rough(write.pretty(rapid.parse(case["body"].encode("latin-1")))) == rough(shown)


@pytest.mark.parametrize("depth", [2000, 500_000])
def test_any_depth_is_read(depth: int) -> None:
    """json_tensor_test.cc nests 500 000 arrays in a member that is not used."""
    assert next(case["value"] for case in CASES if case["body"] == DEEP) == DEEP
    value = read.parse(b'{"instances":[1],"nested":' + b"[" * depth + b"]" * depth + b"}")["nested"]
    found = 1
    while value:
        (value,) = value
        found += 1
    assert found == depth


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (b'{"instances":[1], "a":[[-1e400]]}', b"-1e400"),
        (b'{"a":' + b"9" * 4300 + b"}", b"9999"),
        (b'{"a": 1e3333.s, "b": 1}', b"1e3333"),
        (b'{"a": -1e400-, "b": 1}', b"-1e400"),
        (b'{"a": "1e500", "b": 1.0e400E}', b"1.0e400"),
    ],
)
@pytest.mark.parametrize("longer", [200, 2_000_000])
def test_where_a_number_is_too_big_is_told_of_a_body_of_any_size(
    body: bytes, number: bytes, longer: int
) -> None:
    """A million ordinary numbers before it; strings that look like such a number are none."""
    head = b'{"b":["1e400","\\"9e999"],"c":[' + b"1," * (longer // 2) + b"2],"
    with pytest.raises(ModelError) as caught:
        read.parse(head + body[1:])
    at = len(head) - 1 + body.index(number)
    assert caught.value.message == f"JSON Parse error: {rapid.TOO_BIG} at offset: {at}"


@pytest.mark.parametrize(
    ("text", "may"),
    [
        (b"[1e99]", False), (b"[1e-100]", False), (b"[1e100]", True), (b"[1E+100]", True),
        *((b" " * shift + b"8" * digits + b"]", digits > 308) for digits in (307, 308, 309, 310) for shift in range(6)),
        (b"1.5," * 1000, False),
    ],
)  # fmt: skip
def test_which_texts_are_looked_at_twice(text: bytes, may: bool) -> None:
    assert rapid.may_be_too_big(text) is may
