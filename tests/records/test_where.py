"""The grammar of conditions, and what is refused in it."""

from __future__ import annotations

import pytest

from tiphys.errors import RefusedError
from tiphys.records.where import Comparison, Junction, Order, order_of, parsed


def shape(part: Junction | Comparison) -> object:
    if isinstance(part, Comparison):
        return (part.field, part.sign, *part.values)
    return [part.word, *(shape(each) for each in part.inside)]


def test_the_grammar() -> None:
    text = (
        "metrics.accuracy >= 0.9 and params.model == 'cnn' "
        "and not (phase == 'Failed' or labels.team in ('a', \"b\"))"
    )
    assert shape(parsed(text)) == [
        "and",
        ("metrics.accuracy", ">=", 0.9),
        ("params.model", "=", "cnn"),
        ["not", ["or", ("phase", "=", "Failed"), ("labels.team", "in", "a", "b")]],
    ]
    assert shape(
        parsed("a.b = 1 or x = 1".replace("a.b", "params.b").replace("x", "params.x") + " and labels.q")
    ) == [
        "or",
        ("params.b", "=", 1.0),
        ["and", ("params.x", "=", 1.0), ("labels.q", "")],
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("labels.workflows.argoproj.io/phase = 'x'", ("labels.workflows.argoproj.io/phase", "=", "x")),
        ("metrics.val-loss<.5e1", ("metrics.val-loss", "<", 5.0)),
        ("params.`a b` != -2", ("params.a b", "<>", -2.0)),
        ('params."a" LIKE "it''s"', ("params.a", "like", "its")),
        ("name like 'it''s \\' \\\\'", ("name", "like", "it's ' \\")),
        ("started > '1970-01-02'", ("started", ">", 86400.0)),
        ("started <= '1970-01-02T00:00:00+01:00'", ("started", "<=", 82800.0)),
        ("duration > '1m30s'", ("duration", ">", 90.0)),
        ("name not in ('a')", ["not", ("name", "in", "a")]),
        ("image not like '%x'", ["not", ("image", "like", "%x")]),
        ("params.x in (1, 'b')", ["or", ("params.x", "in", "b"), ("params.x", "in", 1.0)]),
        ("not not image", ["not", ["not", ("image", "")]]),
    ],
)  # fmt: skip
def test_forms(text: str, found: object) -> None:
    assert shape(parsed(text)) == found


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("", 1, "a name was expected"),
        ("phase", 6, "a comparison was expected"),
        ("phase == cnn", 10, "a text has quotes: 'cnn'"),
        ("phas == 'x'", 1, "Did you mean 'phase'"),
        ("metric.x == 1", 1, "Did you mean 'metrics'"),
        ("metrics == 1", 1, "Write metrics.NAME"),
        ("metrics.x == 'a'", 1, "metrics are numbers"),
        ("phase == 1", 1, "write it in quotes"),
        ("params.x like 1", 1, "like wants a text"),
        ("started > 'tomorrow'", 1, "is no time"),
        ("duration > 'long'", 1, "is no duration"),
        ("started like 'x'", 1, "started is no text"),
        ("phase == 'x", 10, "does not end"),
        ("phase == 'x' name == 'y'", 14, "the end, was expected"),
        ("phase ; drop table runs", 7, "';' has no meaning here"),
        ("(phase == 'x'", 14, "a closing bracket"),
        ("phase in 'x'", 10, "an opening bracket"),
        ("phase not == 'x'", 11, "in or like was expected"),
        ("(" * 60 + "phase", 51, "more than 50 brackets"),
        ("not " * 60 + "phase", 201, "more than 50 brackets"),
        (" or ".join(["image"] * 201), 1801, "more than 200 tests"),
        ("phase == '\ud800'", 11, "half a character"),
        (f"name like '{'%' * 1001}'", 1, "longer than 1000"),
        ("x" * 20_001, 1, "20001 characters"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, at: int, says: str) -> None:
    with pytest.raises(RefusedError) as caught:
        parsed(text)
    assert caught.value.code == "TIP255"
    assert f"at {at}:" in caught.value.message and says in caught.value.message
    line, below = caught.value.message.splitlines()[-2:]
    assert below.endswith("^") and len(below) <= len(line) + 1


def test_orders() -> None:
    assert order_of("-metrics.accuracy") == Order("metrics.accuracy", True)
    assert order_of("started") == Order("started", False)
    for wrong in ("strated", "metrics.", "", "message"):
        with pytest.raises(RefusedError) as caught:
            order_of(wrong)
        assert caught.value.code == "TIP255"
