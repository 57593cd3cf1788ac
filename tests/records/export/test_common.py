from __future__ import annotations

import uuid

import pytest

from tiphys.records.export.common import clean, identity, outcome, who
from tiphys.records.record import RunRecord


def test_an_identity_is_a_uuid_of_its_parts() -> None:
    assert identity("a", "b") == identity("a", "b")
    assert len({identity("a", "b"), identity("ab", ""), identity("ab"), identity("a", "B")}) == 4
    assert uuid.UUID(identity("\ud800")).version == 5


def test_a_run_is_known_by_what_stays() -> None:
    assert who(RunRecord("k.1", "k", "", "u", "local", "k", "Running")) == "u"
    assert who(RunRecord("k.1", "k", "", "", "local", "k", "Running")) == "k.1"


@pytest.mark.parametrize(
    ("phase", "message", "ended"),
    [
        ("Running", "", ""),
        ("Pending", "", ""),
        ("", "", ""),
        ("Succeeded", "", "done"),
        ("Omitted", "", "done"),
        ("Failed", "exit code 1", "failed"),
        ("Error", "", "failed"),
        ("Failed", "Stopped with strategy 'Stop'", "stopped"),
        ("Failed", "workflow shutdown with strategy:  Terminate", "stopped"),
    ],
)
def test_how_it_ended(phase: str, message: str, ended: str) -> None:
    assert outcome(phase, message) == ended


def test_text_that_any_system_stores() -> None:
    assert clean("a\0\ud800😀") == "a\N{REPLACEMENT CHARACTER}?😀"
