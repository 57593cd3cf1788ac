"""What is said of a cause."""

from __future__ import annotations

from tiphys.causes.cause import ADVICE, KINDS, Cause


def test_each_kind_has_its_advice() -> None:
    assert set(ADVICE) == set(KINDS)
    assert all("\n" not in text for text in ADVICE.values())


def test_a_cause_in_one_line_and_as_json() -> None:
    cause = Cause("oom", True, "main: OOMKilled (exit code 137)")
    assert cause.line() == "oom, permanent: main: OOMKilled (exit code 137)"
    assert Cause("preempted", False, "pod deleted").line() == "preempted, will pass: pod deleted"
    assert cause.json() == {
        "kind": "oom",
        "permanent": True,
        "evidence": "main: OOMKilled (exit code 137)",
        "advice": ADVICE["oom"],
    }
