"""What is asked of a run, carried out by its engine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.server.running import GATE
from tiphys.engine import RunOptions
from tiphys.runs.local.backend import LocalRuns
from tiphys.server.answers import RequestError
from tiphys.server.differences import AskedChange, NodeAsked
from tiphys.server.submission import Submissions
from tiphys.server.verbs import carry_out, delete


class _Gate:
    def __init__(self, store: Path) -> None:
        options = RunOptions(store=store, images={"*": "host"})
        self.runs, self.submissions = LocalRuns(options), Submissions(options, set())
        self.name = self.submissions.create(GATE, [])

    def get(self) -> Any:
        return self.runs.get("argo", self.name)

    def ask(self, wanted: AskedChange) -> None:
        carry_out(wanted, self.name, self.runs, self.submissions)

    def waiting(self) -> str:
        """The node that waits."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            for node in (self.get()["status"].get("nodes") or {}).values():
                if node["type"] == "Suspend" and node["phase"] == "Running":
                    return str(node["id"])
            time.sleep(0.05)
        raise AssertionError(self.get())

    def ended(self) -> str:
        until = time.monotonic() + 60
        while not (status := self.get()["status"]).get("finishedAt"):
            assert time.monotonic() < until
            time.sleep(0.05)
        return str(status["phase"])


@pytest.mark.parametrize(("phase", "end"), [("Succeeded", "Succeeded"), ("Failed", "Failed")])
def test_a_node_that_waits_goes_on_or_fails(tmp_path: Path, phase: str, end: str) -> None:
    gate = _Gate(tmp_path / "store")
    gate.ask(AskedChange(nodes=(NodeAsked(gate.waiting(), phase, "because"),)))
    assert gate.ended() == end


def test_a_run_is_stopped_suspended_and_deleted(tmp_path: Path) -> None:
    gate = _Gate(tmp_path / "store")
    gate.waiting()
    gate.ask(AskedChange(suspend=True))
    assert gate.get()["spec"]["suspend"] is True
    gate.ask(AskedChange(suspend=False))
    assert gate.ended() == "Succeeded"

    other = _Gate(tmp_path / "store")
    other.waiting()
    with pytest.raises(RequestError, match="neither Stop nor Terminate"):
        other.ask(AskedChange(shutdown="Now"))
    with pytest.raises(RequestError, match="cannot be set"):
        other.ask(AskedChange(nodes=(NodeAsked(other.waiting(), "Skipped"),)))
    delete(other.name, other.runs, other.submissions)
    assert not (tmp_path / "store" / "runs" / other.name).exists()
