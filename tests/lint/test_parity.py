"""The same verdicts as the real ``argo lint``: on Argo's own cases, and on mutants of them."""

from __future__ import annotations

import os
import re
from typing import Any

from tests.lint.mutants import compare, mutants
from tests.lint.places import lint_cases
from tiphys.argo.reader import scan_text
from tiphys.lint import Finding
from tiphys.lint.linter import lint_documents


def findings(case: dict[str, Any]) -> list[Finding]:
    documents = list(scan_text(case["yaml"], file="case.yaml"))
    for number, text in enumerate(case["context"]):
        documents += scan_text(text, file=f"context-{number}.yaml")
    return lint_documents(documents)


def test_the_verdict_is_argos_on_at_least_99_of_100_cases() -> None:
    cases = lint_cases()
    wrong = [
        case["name"]
        for case in cases
        if any(item.severity == "error" for item in findings(case)) != (case["oracle"]["rc"] != 0)
    ]
    assert len(wrong) <= len(cases) // 100, wrong


def test_no_false_alarm_on_what_argo_accepts() -> None:
    accepted = [case for case in lint_cases() if case["oracle"]["rc"] == 0 and not case["context"]]
    alarms = [str(item) for case in accepted for item in findings(case) if item.severity == "error"]
    assert alarms == []


def test_errors_name_the_same_object_and_field() -> None:
    """Every name that Argo's message quotes stands in the message or path of one of ours, on that object."""
    missed = []
    for case in lint_cases():
        errors = [item for item in findings(case) if item.severity == "error"]
        for told in case["oracle"]["errors"]:
            quoted = re.findall(r"'([^']+)'|\"([^\"]+)\"|\{\{([^}]+)\}\}", told["message"])
            words = {word.strip() for group in quoted for word in group if word and "placeholder" not in word}
            words = {word for word in words if " " not in word}
            if not any(
                item.object.partition("/")[2] == told["object"]
                and all(word in item.message or word in item.path for word in words)
                for item in errors
            ):
                missed.append((case["name"], told["message"], [item.message for item in errors]))
    assert missed == []


def test_mutants_get_the_same_verdict() -> None:
    """``TIPHYS_MUTANTS=1000`` makes the full run; a few are always tried."""
    count = int(os.environ.get("TIPHYS_MUTANTS", "40"))
    different, _ = compare(mutants(count, seed=1))
    assert len(different) <= count // 100, [(item.mutant.change, item.argo, item.ours) for item in different]
