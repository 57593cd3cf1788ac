"""Regular expressions: answers of Go's regexp package (questions/regexp.txt)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.expr.answers import agreed, differing, shown
from tiphys.expr.evaluate import ExprError, evaluate
from tiphys.expr.gotext import from_bytes
from tiphys.expr.govaluate import evaluate_when
from tiphys.expr.regexp import regexp
from tiphys.expr.sprig import SPRIG
from tiphys.lint import lint

Json = Any
ENDLESS = [
    ("(a+)+$", "a" * 64 + "!"),
    ("(a|a)*b", "a" * 64 + "c"),
    ("(.*a){20}b", "a" * 64),
    ("(x+x+)+y", "x" * 64),
    (r"^(\\w+\\s?)*$", "word " * 20 + "!"),
]


def found(case: Json) -> Json:
    """The value, or the error."""
    try:
        pattern = regexp(case["text"])
    except ExprError as error:
        return {"error": str(error)}
    if case["ask"] == "match":
        return [match.texts[0] for match in pattern.matches(case["other"])] or None
    if case["ask"] == "replace":
        return pattern.replace(case["other"], lambda match: match.expand(case["with"]))
    return pattern.split(case["other"], int(case["count"]))


def right(case: Json) -> Json:
    return {"error": case["error"]} if "error" in case else case["value"]


@pytest.mark.parametrize("case", agreed("regexp"), ids=shown)
def test_agrees_with_go(case: Json) -> None:
    assert found(case) == right(case)


@pytest.mark.parametrize("case", differing("regexp"), ids=shown)
def test_what_is_known_to_differ_still_differs(case: Json) -> None:
    assert found(case) != right(case)


@pytest.mark.parametrize(("pattern", "text"), ENDLESS, ids=[pattern for pattern, _ in ENDLESS])
def test_the_time_does_not_grow_with_the_ways_to_match(pattern: str, text: str) -> None:
    """With an engine that tries one way after the other none of these ends."""
    assert evaluate(f"'{text}' matches '{pattern}'", {}) is False
    plain = pattern.replace("\\\\", "\\")
    assert evaluate("sprig.regexMatch(p, t)", _named(plain, text)) is False
    assert evaluate("sprig.regexReplaceAll(p, t, '-')", _named(plain, text)) == text


def _named(pattern: str, text: str) -> dict[str, Any]:
    return {"sprig": SPRIG, "p": pattern, "t": text}


def test_a_condition_of_a_step_ends() -> None:
    assert evaluate_when(f"'{'a' * 64}!' =~ '(a+)+$'") is False


def test_lint_of_such_a_pattern_ends() -> None:
    lint(
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: x}\n"
        "spec:\n  entrypoint: m\n  templates:\n  - name: m\n    steps:\n    - - name: a\n        template: m\n"
        f"        when: \"{{{{='{'a' * 64}!' matches '(a+)+$'}}}}\"\n"
    )


def test_bytes_that_are_no_text_are_one_character_each() -> None:
    cut = from_bytes(b"\xc3")
    pattern = regexp("^.$")
    assert pattern.search(cut) is not None
    assert [match.texts[0] for match in regexp(".").matches(f"a{cut}b")] == ["a", cut, "b"]
    with pytest.raises(ExprError, match="invalid UTF-8"):
        regexp(cut)
