"""Texts that were made to break what reads them: each is a value or an error of its language, and nothing else."""

from __future__ import annotations

import contextlib
import json
import math

import pytest

from tiphys.argo.cron import problem
from tiphys.engine.objects.jsonpath import JsonPathError, jsonpath
from tiphys.expr.depends import parse_depends
from tiphys.expr.evaluate import ExprError, evaluate
from tiphys.expr.gojson import unmarshal
from tiphys.expr.govaluate import WhenError, evaluate_when, govaluate
from tiphys.lint import lint

NINES = "9" * 5000
HEAD = (
    "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: x}\n"
    "spec:\n  entrypoint: m\n  templates:\n  - name: m\n"
)


@pytest.mark.parametrize(
    "text", ["(", "[", "!", "-", "not ", "a.", "a[", "{a: ", "[" * 500 + "]" * 500, "(1)" * 9]
)
def test_deep_and_open_expressions(text: str) -> None:
    with pytest.raises(ExprError):
        evaluate(text * 3000, {})


@pytest.mark.parametrize(
    "text",
    [
        "let",
        "let x",
        "let x =",
        NINES,
        f"1 + {NINES}",
        "map(1..10, {# matches 2})",
        "x matches 2",
        "1..10000000000",
    ],
)
def test_expressions_that_are_none(text: str) -> None:
    with pytest.raises(ExprError):
        evaluate(text, {})


@pytest.mark.parametrize("text", ["(" * 5000, "!" * 5000, "a && " * 3000])
def test_deep_depends(text: str) -> None:
    task = f'{{name: a, template: m, depends: "{text}"}}'
    lint(HEAD + f"    dag: {{tasks: [{task}]}}\n")
    with contextlib.suppress(ExprError, WhenError):
        parse_depends(text, lambda name: (False, False))


@pytest.mark.parametrize("text", ["(" * 5000, "!" * 5000, "1 ? 2", "1 | -9999999999 ? a : b"])
def test_deep_and_odd_conditions(text: str) -> None:
    with pytest.raises(WhenError):
        evaluate_when(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [  # Go's int64 and math.Pow: https://go.dev/ref/spec#Arithmetic_operators, https://pkg.go.dev/math#Pow
        ("1 << 64", 0.0), ("1 << 99999999999", 0.0), ("1 << 63", -(2.0**63)), ("3 << 63", -(2.0**63)),
        ("8 >> 64", 0.0), ("(0 - 8) >> 64", -1.0), ("8 >> 2", 2.0), ("6 & 3", 2.0), ("6 | 3", 7.0), ("6 ^ 3", 5.0),
        ("2 ** 9999999999", math.inf), ("(0 - 2) ** 9999", -math.inf), ("0 ** (0 - 1)", math.inf), ("2 ** 3", 8.0),
    ],
)  # fmt: skip
def test_arithmetic_is_that_of_go(text: str, value: float) -> None:
    assert govaluate(text) == value


def test_powers_without_a_value_are_not_a_number() -> None:
    found = govaluate("(0 - 8) ** 0.5")
    assert isinstance(found, float) and math.isnan(found)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, NINES, f'{{"a": -{NINES}}}'])
def test_json(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        unmarshal(text)


@pytest.mark.parametrize(
    "text", [f"{NINES} * * * *", f"*/{NINES} * * * *", f"@every {NINES}s", "TZ=Europe * * * * *"]
)
def test_schedules(text: str) -> None:
    assert problem(text)


@pytest.mark.parametrize("path", ["{.a[-]}", "{.a[" + NINES + "]}", "{.a[-" + NINES + "]}"])
def test_paths_of_kubectl(path: str) -> None:
    with pytest.raises(JsonPathError):
        jsonpath({"a": [1, 2]}, path)


@pytest.mark.parametrize(
    "text",
    [
        HEAD + '    container: {image: "{{=' + "(" * 3000 + "1" + ")" * 3000 + '}}"}\n',
        '{"kind":"Workflow",\n"spec":{"parallelism":' + NINES + "}}",
        '{"kind":"Workflow",\n"spec":{"parallelism":1e' + NINES + "}}",
        "kind: ConfigMap\nmetadata: 1h\n",
        HEAD + f"    activeDeadlineSeconds: {NINES}\n",
    ],
    ids=["brackets", "digits", "exponent", "metadata", "YAML digits"],
)
def test_lint_says_something_or_nothing(text: str) -> None:
    lint(text)
