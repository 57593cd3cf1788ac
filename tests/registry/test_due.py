"""When a model is to be trained again, and what is said of it."""

from __future__ import annotations

import datetime

import pytest

from tests.registry.test_changes import moved
from tiphys.registry import ModelDocument, register
from tiphys.registry.changes import By
from tiphys.registry.due import DueRules, why_due

NOW = datetime.datetime(2026, 11, 29, 3, 0, tzinfo=datetime.UTC)
A, B = "sha256:a", "sha256:b"


def versions(*accuracies: float, data: str = A, at: str = "2026-11-22T03:00:00Z") -> ModelDocument:
    """The last one is the champion; its training saw ``data``."""
    document = ModelDocument("m")
    for number, accuracy in enumerate(accuracies):
        report: dict[str, float | str] = {"test_accuracy": accuracy, **({"dataset": data} if data else {})}
        document, _ = register(
            document, f"pvc://tiphys/models/{number}", A, By("ann", at, "why"), report=report
        )
    return moved(document, len(accuracies))


def asked(
    document: ModelDocument, rules: DueRules | None = None, data: str = A, measured: tuple[float, ...] = ()
) -> list[str]:
    return why_due(document, "champion", rules or DueRules(), NOW, data=data, measured=measured)


def test_what_serves_well_is_let_alone() -> None:
    week = DueRules(max_age_seconds=7 * 86400)
    assert asked(versions(0.9, 0.91), week, measured=(0.9, 0.91, 0.9, 0.92, 0.89)) == []
    assert asked(versions(0.93, 0.92, 0.91)) == []  # a chance of one in six
    assert asked(versions(0.93, 0.92, 0.91, 0.91)) == []  # 1/12: two are equal
    assert asked(versions(0.9), data="") == []


@pytest.mark.parametrize(
    ("document", "rules", "data", "said"),
    [
        (ModelDocument("m"), DueRules(), A, "nothing is served as m@champion"),
        (moved(versions(0.9), None), DueRules(), A, "nothing is served as m@champion"),
        (versions(0.9), DueRules(), B, "new data: sha256:b, version 1 was trained on sha256:a"),
        (
            versions(0.9, data=""),
            DueRules(),
            B,
            "new data? nobody knows: the report of version 1 names no dataset that it was trained on",
        ),
        (
            versions(0.9),
            DueRules(max_age_seconds=7 * 86400 - 1),
            A,
            "too old: version 1 is of 2026-11-22T03:00:00Z, 7.0 days ago (at most 7.0 days)",
        ),
        (
            versions(0.9, at="2026-11-29T02:00:00"),
            DueRules(max_age_seconds=1800),
            A,
            "too old: version 1 is of 2026-11-29T02:00:00, 1.0 hours ago (at most 0.5 hours)",
        ),
        (
            versions(0.9, at="once"),
            DueRules(max_age_seconds=60),
            A,
            "too old? nobody knows: version 1 was registered at 'once'",
        ),
        (
            versions(0.9, 0.93, 0.92, 0.91, 0.905),
            DueRules(over=4),
            A,
            "test_accuracy falls from version to version: 0.93, 0.92, 0.91, 0.905 (by chance: 0.042, at most 0.05)",
        ),
    ],
)
def test_each_reason_alone(document: ModelDocument, rules: DueRules, data: str, said: str) -> None:
    assert asked(document, rules, data) == [said]


def test_what_is_served_may_fall_since_it_was_registered() -> None:
    document = versions(0.5, 0.9)
    assert asked(document, measured=(0.89, 0.88)) == []
    assert asked(document, measured=(0.89, 0.88, 0.87)) == [
        "test_accuracy falls of version 2 from measurement to measurement: 0.9, 0.89, 0.88, 0.87 (by chance: 0.042, "
        "at most 0.05)"
    ]
    assert asked(document, DueRules(falling=""), measured=(0.89, 0.88, 0.87)) == []
    assert asked(document, DueRules(chance=0.01), measured=(0.89, 0.88, 0.87)) == []
    # only the last ones count
    assert asked(document, DueRules(over=4), measured=(0.89, 0.88, 0.87, 0.95)) == []
