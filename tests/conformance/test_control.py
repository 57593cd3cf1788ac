"""Stop, terminate, suspend, resume, retry and resubmit of local runs, beside what the real controller made of them.

Each case of control.py is run by an engine; the verbs come from outside it, as from another process: through the store.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.control import CASES, clean, load_records
from tiphys.argo.reader import read_text
from tiphys.engine import RunOptions
from tiphys.engine.base.options import RunResult
from tiphys.engine.runtime.run import Run
from tiphys.errors import RefusedError
from tiphys.runs import Client
from tiphys.runs.local import LocalRuns

Json = Any

OTHERWISE = {
    "resume-node": "Argo does not take the default of an output when a node is selected, and waits for ever",
    "resubmit-memoized-loop": "Argo waits for ever for nodes that it made Pending",
    "ended": "Argo says that a workflow that has ended is resumed",
}
"""Cases in which the controller is not followed, and why."""


class Case:
    """One case being done: the engine in a thread, the verbs through the store."""

    def __init__(self, folder: Path, text: str) -> None:
        self.options = RunOptions(
            store=folder, runner="process", images={"*": "host"}, handle_signals=False, grace=2.0
        )
        self.local = LocalRuns(self.options)
        self.client = Client(backend=self.local, namespace="argo")
        self.names: list[str] = []
        self.ended: list[RunResult] = []
        self._thread: threading.Thread | None = None
        workflow = read_text(text, file="case.yaml")[0].data
        self.start(lambda: Run(workflow, options=self.options))

    def start(self, make: Callable[[], Run]) -> None:
        """Run in a thread what ``make`` gives; a refusal comes at once."""
        run = make()
        if run.name not in self.names:
            self.names.append(run.name)
        self._thread = threading.Thread(target=lambda: self.ended.append(run.execute()), daemon=True)
        self._thread.start()

    def workflow(self) -> dict[str, Json]:
        """The last run as it stands."""
        return clean(self.client.get(self.names[-1]).workflow, self.names)

    def until(self, kind: str) -> None:
        """Wait for a running node of the kind."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                nodes = (self.client.get(self.names[-1]).workflow["status"].get("nodes") or {}).values()
            except RefusedError:
                nodes = {}.values()  # it has not begun
            if any(node["type"] == kind and node["phase"] == "Running" for node in nodes):
                return
            time.sleep(0.05)
        raise TimeoutError(kind)

    def wait(self) -> dict[str, Json]:
        """Wait for the end."""
        assert self._thread is not None
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.workflow()

    def verb(self, words: list[str]) -> None:
        """Do what ``argo`` was told to do. Raises RefusedError."""
        from tiphys.engine.runtime.retry import prepare_resubmit, prepare_retry

        name, verb = self.names[-1], words[0]
        values = dict(itertools.pairwise(words))
        selector = values.get("--node-field-selector", "")
        given = dict([values["-p"].split("=")]) if "-p" in values else {}
        if verb == "retry":
            restart = "--restart-successful" in words
            self.start(
                lambda: prepare_retry(
                    name,
                    options=self.options,
                    parameters=given,
                    restart_successful=restart,
                    selector=selector,
                )
            )
        elif verb == "resubmit":
            memoized = "--memoized" in words
            self.start(
                lambda: prepare_resubmit(name, options=self.options, parameters=given, memoized=memoized)
            )
        elif verb == "node":
            self.client.supply(name, selector, dict([values["--output-parameter"].split("=")]))
        elif verb == "stop":
            self.client.stop(name, nodes=selector, message=values.get("--message", ""))
        elif verb == "resume":
            self.client.resume(name, nodes=selector)
        else:
            {"terminate": self.client.terminate, "suspend": self.client.suspend}[verb](name)


def _alike(ours: dict[str, Json], theirs: dict[str, Json]) -> None:
    theirs = {key: value for key, value in theirs.items() if key != "step"}
    for workflow in (ours, theirs):
        workflow["labels"].setdefault("workflows.argoproj.io/completed", "false")
        for node in workflow["nodes"].values():
            if "shutdown" in node["message"]:
                node["outputs"] = {}  # whether the exit code is still noted is a race
    assert ours == theirs


@pytest.mark.parametrize("name", sorted(set(CASES) - set(OTHERWISE)))
def test_the_controller_does_the_same(name: str, tmp_path: Path) -> None:
    text, steps = CASES[name]
    case = Case(tmp_path, text)
    records = iter(load_records()[name])
    for step in steps:
        words = step.split()
        if words[0] == "wait":
            _alike(case.wait(), next(records))
        elif words[0] in ("pod", "suspended"):
            case.until({"pod": "Pod", "suspended": "Suspend"}[words[0]])
        elif words[0] == "sleep":
            found = case.workflow()["nodes"]
            while found["WF[0].a"]["phase"] != "Succeeded":
                time.sleep(0.05)
                found = case.workflow()["nodes"]
            # the controller does not look at a workflow that is suspended: its groups stay as they were
            recorded = next(records)["nodes"]
            pods = [{key for key, node in one.items() if node["type"] == "Pod"} for one in (found, recorded)]
            assert pods[0] == pods[1]
        else:
            refused = bool(next(records)["code"])
            if refused:
                with pytest.raises(RefusedError):
                    case.verb(words)
            else:
                case.verb(words)
