"""Texts of ``depends`` without a run. The grammar is expr-lang's: what it refuses is in words.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tiphys.expr.dependencies import RESERVED, RESULTS, dependencies, syntax_error, unknown_results

WORDS = json.loads((Path(__file__).parent / "words.json").read_text(encoding="utf-8"))["cases"]
FORMS = [case for case in WORDS if "task" in case and case["task"] not in RESERVED]


@pytest.mark.parametrize("case", FORMS, ids=lambda case: str(case["expression"]))
def test_what_go_evaluated_has_no_fault_and_names_its_tasks(case: dict[str, str]) -> None:
    assert "error" not in case
    assert syntax_error(case["expression"]) == ""
    found = dependencies({"depends": case["expression"]})
    assert set(found) <= {case["task"], "b"} and case["task"] in found
    assert unknown_results({"depends": case["expression"]}) == []


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ({}, {}),
        ({"depends": "a"}, {"a": False}),
        ({"depends": "a-1.Failed || b_c"}, {"a-1": False, "b": False, "c": False}),
        ({"depends": "a.AnySucceeded"}, {"a": True}),
        ({"depends": "a.Succeeded || a.AllFailed"}, {"a": True}),
        ({"depends": "(a && !b.Skipped)"}, {"a": False, "b": False}),
        ({"dependencies": ["a", "b-2"]}, {"a": False, "b-2": False}),
        ({"depends": "", "dependencies": ["a"]}, {"a": False}),
    ],
)
def test_who_is_named_and_whether_only_a_loop_can_answer(
    task: dict[str, object], names: dict[str, bool]
) -> None:
    # workflow/common/ancestry.go: AnySucceeded and AllFailed are for tasks with withItems or withParam
    assert dependencies(task) == names


def test_results_that_no_task_has() -> None:
    assert unknown_results({"depends": "a.Broken || b.Failed && c.Done"}) == [("a", "Broken"), ("c", "Done")]
    assert unknown_results({"depends": " || ".join(f"a.{word}" for word in RESULTS)}) == []
    assert unknown_results({}) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a && b || !(c)", ""),
        ("a.Succeeded ", ""),
        ("a &&", "ends where a task is expected"),
        ("", "ends where a task is expected"),
        ("&& a", "a task is missing before '&&'"),
        ("(|| a)", "a task is missing before '||'"),
        ("()", "a task is missing before ')'"),
        ("a b", "missing before 'b'"),
        ("a (b)", "missing before '('"),
        ("a ! b", "missing before '!'"),
        ("(a", "a `(` is not closed"),
        ("a)", "a `)` without its `(`"),
        ("a & b", "unexpected '&'"),
        ("a, b", "unexpected ','"),
    ],
)
def test_what_is_wrong_with_the_grammar(text: str, words: str) -> None:
    found = syntax_error(text)
    assert words in found if words else not found
