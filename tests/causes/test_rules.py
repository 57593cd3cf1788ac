"""Every recorded ending of the real controller gets the cause that was brought about.

``python -m tests.causes.record`` made them; the labels are what was done, not what the classifier said.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tiphys.causes.cause import KINDS, Ending, ReplicaEnd
from tiphys.causes.conditions import WORDS, retried
from tiphys.causes.rules import RULES, cause_of
from tiphys.expr.evaluate import compile_expression, evaluate_bool
from tiphys.expr.tags import Layers, environment

ENDINGS = {
    path.stem: json.loads(path.read_text()) for path in sorted(Path(__file__).parent.glob("endings/*.json"))
}


def ending(recorded: dict[str, Any]) -> Ending:
    node = recorded["node"]
    code = (node.get("outputs") or {}).get("exitCode")
    return Ending(
        phase=node["phase"],
        message=node.get("message", ""),
        exit_code=None if code is None else int(code),
        waited=recorded["waited"],
        events=tuple(ReplicaEnd("", each["message"], each["exit_code"]) for each in recorded["events"]),
        shutdown=recorded["shutdown"],
    )


def test_there_are_enough_of_them() -> None:
    assert len(ENDINGS) >= 30
    assert {each["label"] for each in ENDINGS.values()} >= set(KINDS) - {"node_lost"}


@pytest.mark.parametrize("name", ENDINGS)
def test_a_recorded_ending_has_the_cause_that_was_brought_about(name: str) -> None:
    recorded = ENDINGS[name]
    found = cause_of(ending(recorded))
    assert found is not None
    expected = ("unknown", False) if recorded["silent"] else (recorded["label"], recorded["permanent"])
    assert (found.kind, found.permanent) == expected, found.line()
    assert found.evidence
    assert "\n" not in found.evidence


def again(recorded: dict[str, Any], budgets: dict[str, int], retries: int = 0) -> bool:
    """Whether Argo would make another attempt."""
    node = recorded["node"]
    values = {
        "retries": str(retries),
        "lastRetry.exitCode": (node.get("outputs") or {}).get("exitCode", "-1"),
        "lastRetry.status": node["phase"],
        "lastRetry.duration": "1",
        "lastRetry.message": node.get("message", ""),
    }
    program = compile_expression(retried(budgets))
    return evaluate_bool(program, environment(program, Layers(values)))


OF_ARGO = {
    name: each
    for name, each in ENDINGS.items()
    if each["node"]["type"] == "Pod" and not each["shutdown"] and not name.startswith("job-")
}
"""Of a TFJob only the operator knows why it ended."""


@pytest.mark.parametrize("name", OF_ARGO)
def test_argo_tries_again_only_what_has_a_budget(name: str) -> None:
    """The compiled expression takes each recorded ending as the label says."""
    recorded = ENDINGS[name]
    label = recorded["label"]
    assert again(recorded, {"preempted": 5, "node_lost": 5}) == (label in ("preempted", "node_lost"))
    assert again(recorded, {"oom": 2}) == (label == "oom")
    assert again(recorded, {"oom": 2, "preempted": 5}, retries=2) == (label == "preempted")
    assert not again(recorded, dict.fromkeys(WORDS, 3), retries=3)
    if label not in WORDS:
        assert not again(recorded, {"oom": 3, "preempted": 3, "node_lost": 3})


FAILED_WITH_1 = ("Failed", "main: Error (exit code 1)", 1)
KILLED = ReplicaEnd("failed", "", 137)


@pytest.mark.parametrize(
    ("known", "kind"),
    [
        (Ending("Failed", "main: Error (exit code 137)", 137, memory=99 << 20, memory_limit=100 << 20), "oom"),
        (Ending("Failed", "main: Error (exit code 137)", 137, memory=9 << 20, memory_limit=100 << 20), "preempted"),
        (Ending(*FAILED_WITH_1, memory=99 << 20, memory_limit=100 << 20), "code"),
        (Ending(*FAILED_WITH_1, problem="sha256 of data.npz differs"), "data_missing"),
        (Ending(*FAILED_WITH_1, events=(ReplicaEnd("failed", "TIP715: gone", 1),)), "preempted"),
        (Ending("Failed", events=(KILLED, ReplicaEnd("failed", "TIP707: full", 1))), "disk_full"),
        (Ending("Failed", "", None, events=(KILLED, ReplicaEnd("failed", "", 1))), "code"),
        (Ending("Error", "something new"), "unknown"),
        (Ending("Failed"), "unknown"),
    ],
)  # fmt: skip
def test_what_is_known_beside_the_node(known: Ending, kind: str) -> None:
    found = cause_of(known)
    assert found is not None
    assert found.kind == kind, found.line()


def test_what_ended_well_has_no_cause() -> None:
    assert cause_of(Ending("Succeeded")) is None
    assert cause_of(Ending("Running", "OOMKilled")) is None


def test_an_evidence_is_one_line_of_bounded_length() -> None:
    found = cause_of(Ending("Failed", "OOMKilled\n" * 1000))
    assert found is not None
    assert len(found.evidence) == 300
    assert found.line().startswith("oom, permanent: OOMKilled OOMKilled")


def test_the_rules_have_names_of_their_own_and_kinds_that_there_are() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert {rule.kind for rule in RULES} == set(KINDS) - {"unknown"}
