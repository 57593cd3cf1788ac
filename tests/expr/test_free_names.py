"""What an expression takes from its environment, shown by evaluating it without."""

from __future__ import annotations

import pytest

from tests.expr.answers import agreed, environment
from tiphys.expr.builtins import NAMES
from tiphys.expr.evaluate import ExprError, compile_expression, evaluate
from tiphys.expr.free_names import FreeNames, certain_paths
from tiphys.expr.parser import Tree
from tiphys.expr.parser import parse as parse_with

GOOD = [
    case["text"]
    for topic in ("operators", "closures", "builtins")
    for case in agreed(topic)
    if "error" not in case
]


def parse(text: str) -> Tree:
    return parse_with(text, NAMES)


@pytest.mark.parametrize("text", GOOD)
def test_what_is_named_is_all_that_it_takes(text: str) -> None:
    names = set(FreeNames(parse(text)).roots)
    known = environment()
    assert names - NAMES <= set(known) | {"nope", "asInt", "asFloat"}
    if "now()" not in text:
        small = {name: value for name, value in known.items() if name in names}
        evaluate(text, small)  # nothing is missing


@pytest.mark.parametrize(
    ("text", "roots", "paths"),
    [
        ("a", {"a": None}, [("a",)]),
        ("a.b + a.c.d", {"a": {"b", "c"}}, [("a", "b"), ("a", "c", "d")]),
        ("a['b'].c", {"a": {"b"}}, [("a", "b", "c")]),
        ("a.b + a", {"a": None}, [("a", "b"), ("a",)]),
        ("a[b]", {"a": None, "b": None}, [("a",), ("b",)]),
        ("let x = a.b; x.c + y", {"a": {"b"}, "y": None}, [("a", "b"), ("y",)]),
        ("map(l, # + k)", {"l": None, "k": None}, [("l",), ("k",)]),
        ("{'a': b, c: 1}", {"b": None}, [("b",)]),
        ("{(a): b}", {"a": None, "b": None}, [("a",), ("b",)]),
        ("1 + 'a'", {}, []),
    ],
)
def test_roots_and_paths(text: str, roots: dict[str, set[str] | None], paths: list[tuple[str, ...]]) -> None:
    free = FreeNames(parse(text))
    assert free.roots == roots
    assert free.paths == paths


def test_the_place_is_where_a_name_is_first() -> None:
    assert FreeNames(parse("1 + abc.d + e + abc.f")).places == {"abc": 4, "e": 12}


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("a.b + c", {"a.b", "c"}),
        ("a.b ?? c", set()),
        ("a?.b", set()),
        ("a.b != nil && c", set()),
        ("a && b", {"a"}),
        ("a || b", {"a"}),
        ("a ? b : c", {"a"}),
        ("a in b", {"a"}),
        ("f(a)", {"a"}),
        ("a.f(b)", {"a", "b"}),
        ("sprig.default('x', a)", set()),
        ("sprig.upper(a)", {"a", "sprig"}),
        ("let x = a; x.b + c", {"a", "c"}),
        ("[a, {'k': b}]", {"a", "b"}),
        ("a[b]", {"a", "b"}),
    ],
)
def test_what_must_be_there(text: str, paths: set[str]) -> None:
    assert {".".join(path) for path in certain_paths(parse(text))} == paths


@pytest.mark.parametrize(
    "text", ["a.b + c", "a && b", "a ? b : c", "a.f(b)", "[a, {'k': b}]", "-a", "a[1:b]"]
)
def test_without_what_must_be_there_it_has_no_value(text: str) -> None:
    values = {"a": {"b": 1}, "b": 1, "c": 1, "f": len}
    for path in certain_paths(parse(text)):
        with pytest.raises(ExprError):
            compile_expression(text).run({name: value for name, value in values.items() if name != path[0]})
