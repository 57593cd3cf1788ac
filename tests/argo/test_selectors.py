"""Selectors of labels and of node fields, beside what Kubernetes and Argo answered (recorded by record.py)."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from tests.argo.record import LABELS, NODES
from tiphys.argo.selectors import (
    SelectorError,
    fields_of_node,
    label_key_problem,
    label_value_problem,
    matches_labels,
    matches_node,
    parse_fields,
    parse_labels,
)

Json = Any
RECORDED: list[Json] = json.loads((Path(__file__).parent / "selectors.json").read_text(encoding="utf-8"))


def ours(asked: Json) -> Json:
    try:
        if asked["ask"] == "labels":
            return [matches_labels(parse_labels(asked["text"]), each) for each in LABELS]
        selector = parse_fields(asked["text"])
        return [matches_node(selector, each) for each in NODES]
    except SelectorError as error:
        assert error.code == "TIP266"
        return "refused"


@pytest.mark.parametrize("kind", ["labels", "fields"])
def test_as_kubernetes_answers(kind: str) -> None:
    asked = [item for item in RECORDED if item["ask"] == kind]
    assert len(asked) >= 200
    assert sum("refused" in item for item in asked) > 40
    different = {
        item["text"]: (ours(item), item["is"] if "is" in item else item["refused"])
        for item in asked
        if ours(item) != item.get("is", "refused")
    }
    assert not different


def test_what_is_unexpected_is_told_in_gos_words() -> None:
    told = {}
    for item in RECORDED:
        if item["ask"] == "labels" and re.search("(^|requirement: )found", item.get("refused", "")):
            with pytest.raises(SelectorError) as raised:
                parse_labels(item["text"])
            told[item["refused"]] = raised.value.message
    assert len(told) > 10
    assert list(told) == list(told.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a=b,=", "found '=', expected: identifier after ','"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a==!", "unable to parse requirement: found '!', expected: identifier"),
        ("a in b", "unable to parse requirement: found 'b', expected: '('"),
        ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b,=", "unable to parse requirement: found '=', expected: ',', or identifier"),
        ("a in (b,,)", "unable to parse requirement: found ')', expected: ',', or identifier"),
        ("a>b", "unable to parse requirement: > compares whole numbers, not 'b'"),
        (
            "a<99999999999999999999",
            "unable to parse requirement: < compares whole numbers, not '99999999999999999999'",
        ),
    ],
)
def test_what_is_no_label_selector(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as raised:
        parse_labels(text)
    assert raised.value.message == message
    assert repr(text) in str(raised.value)


def test_what_go_takes_for_the_end_of_a_text() -> None:
    assert parse_labels("a=\0") == parse_labels("a=")
    assert parse_labels("a \0 b") == parse_labels("a")
    with pytest.raises(SelectorError):
        parse_labels("a\0b")


def test_an_error_goes_from_one_process_to_another() -> None:
    with pytest.raises(SelectorError) as raised:
        parse_labels("=a")
    again = pickle.loads(pickle.dumps(raised.value))
    assert str(again) == str(raised.value)


def test_a_requirement_is_printed_as_go_prints_it() -> None:
    (found,) = parse_labels("status.phase in (Failed, Error)")
    assert str(found) == "{status.phase in [Error Failed]}"


@pytest.mark.parametrize(
    ("key", "good"),
    [
        ("app", True),
        ("example.com/app", True),
        ("a..b/app", False),
        ("/app", False),
        ("Example/app", False),
        ("a/", False),
        ("x" * 64, False),
        ("x" * 254 + "/a", False),
        ("-a", False),
        ("", False),
    ],
)
def test_keys_of_labels(key: str, good: bool) -> None:
    assert (not label_key_problem(key)) == good


@pytest.mark.parametrize(
    ("value", "good"), [("", True), ("A.b-c_1", True), ("x" * 64, False), ("a b", False)]
)
def test_values_of_labels(value: str, good: bool) -> None:
    assert (not label_value_problem(value)) == good


def test_numbers_of_64_bits_are_compared() -> None:
    assert matches_labels(parse_labels("tier>5"), {"tier": "+6"})
    assert not matches_labels(parse_labels("tier>5"), {"tier": "1_0"})
    assert not matches_labels(parse_labels("tier<5"), {"tier": "99999999999999999999"})
    assert not matches_labels(parse_labels("tier<5"), {})


def test_the_fields_of_a_node() -> None:
    assert fields_of_node({}) == {"displayName": "", "templateName": "", "phase": "", "name": "", "id": ""}
    node = {
        "displayName": "d",
        "templateName": "left out beside a templateRef",
        "templateRef": {"name": "shared", "template": "t"},
        "inputs": {"parameters": [{"name": "p"}, {"name": "q", "value": "1"}]},
    }
    assert fields_of_node(node) == {
        "displayName": "d",
        "templateName": "t",
        "phase": "",
        "name": "",
        "id": "",
        "templateRef.name": "shared",
        "templateRef.template": "t",
        "inputs.parameters.p.value": "",
        "inputs.parameters.q.value": "1",
    }


@pytest.mark.parametrize("text", ["garbage", "a=b=c", r"a=\x", "a=\\"])
def test_what_is_no_field_selector(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_fields(text)


def test_escapes_and_empty_selectors() -> None:
    assert parse_fields(r"a=b\,c\=d\\").terms == (("a", True, "b,c=d\\"),)
    assert parse_fields("").terms == parse_fields(",,").terms == parse_fields("!=").terms == ()
    assert matches_node(parse_fields("nobody-knows="), {})
