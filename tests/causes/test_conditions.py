"""What a budget for each cause becomes for Argo."""

from __future__ import annotations

import re

import pytest

from tiphys.causes.conditions import WORDS, retried
from tiphys.expr.evaluate import compile_expression, evaluate_bool
from tiphys.expr.tags import Layers, environment


def again(budgets: dict[str, int], retries: int, message: str, code: str = "-1") -> bool:
    values = {
        "retries": str(retries),
        "lastRetry.exitCode": code,
        "lastRetry.status": "Failed",
        "lastRetry.duration": "1",
        "lastRetry.message": message,
    }
    program = compile_expression(retried(budgets))
    return evaluate_bool(program, environment(program, Layers(values)))


def test_each_cause_has_its_own_budget() -> None:
    budgets = {"preempted": 5, "oom": 2}
    oom, gone = "main: OOMKilled (exit code 137)", "pod deleted"
    assert [again(budgets, n, oom, "137") for n in (0, 1, 2, 4)] == [True, True, False, False]
    assert [again(budgets, n, gone) for n in (0, 4, 5)] == [True, True, False]


@pytest.mark.parametrize("code", ["1", "2", "139", "64"])
def test_an_error_of_the_code_has_none(code: str) -> None:
    assert not again(dict.fromkeys(WORDS, 20), 0, f"main: Error (exit code {code})", code)


def test_memory_without_a_budget_is_not_taken_for_a_kill() -> None:
    assert again({"preempted": 5}, 0, "main: Error (exit code 137)", "137")
    assert not again({"preempted": 5}, 0, "main: OOMKilled (exit code 137)", "137")


def test_the_words_mean_the_same_to_go_and_to_python() -> None:
    for words in WORDS.values():
        assert not re.search(r"\\|'|\(\?", words)  # no escape, no quote, no look-ahead: RE2 has none
