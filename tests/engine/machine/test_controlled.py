"""Stop, terminate, suspend, resume, retry and resubmit of pure runs, beside what the real controller made of them.

The cases are those of tests/conformance/control.py, which are really run there; here pods end as they were recorded.
"""

from __future__ import annotations

import heapq
import itertools
from typing import Any

import pytest

from tests.conformance.control import CASES, clean, load_records
from tests.conformance.test_control import OTHERWISE
from tiphys.argo.reader import read_text
from tiphys.argo.verbs import ImpossibleError, memoized, resubmitted, retried
from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.machine import Machine

Json = Any
STAMP = "2001-09-09T01:46:40Z"


class Controlled:
    """A machine, its pods and timers, and the verbs that are done to it."""

    def __init__(self, text: str, records: list[Json]) -> None:
        self.records = records
        self.names = ["one"]
        self.now = 1_000_000_000.0
        self.begin(read_text(text, file="case.yaml")[0].data)

    def begin(self, workflow: Json, *, earlier: Json = None) -> None:
        """A new machine; pods end as the next record that is waited for has it."""
        self.pods: dict[str, p.StartPod] = {}
        self.timers: list[tuple[float, str]] = []
        self.machine = Machine(
            workflow, name=self.names[-1], uid="UID", now=self.now, context=(), earlier=earlier
        )
        self.tell(p.Begin(self.now))

    def tell(self, event: p.Event) -> None:
        """Hand over an event and keep what must be done."""
        for command in self.machine.handle(event):
            if isinstance(command, p.StartPod):
                self.pods[command.node_id] = command
            elif isinstance(command, p.SetTimer):
                heapq.heappush(self.timers, (command.at, command.token))
            elif isinstance(command, p.StopPod) and command.node_id in self.pods:
                self.end(command.node_id, stopped=True)

    def end(self, identity: str, *, stopped: bool = False) -> None:
        """A pod ends as it was recorded."""
        name = self.pods.pop(identity).node_name.replace(self.names[-1], "WF", 1)
        waited = [record["nodes"].get(name) for record in self.records if "nodes" in record]
        node = next((node for node in waited if node is not None), {"phase": "Succeeded"})
        if stopped and node["phase"] not in ("Failed", "Error"):
            node = next((one for one in waited if one and one["phase"] == "Failed"), node)
        self.now += 1
        outputs = {"exitCode": "0", **(node.get("outputs") or {})}
        self.tell(p.PodFinished(self.now, identity, node["phase"], node.get("message", ""), outputs))

    def run(self, until: str = "") -> None:
        """Go on: to the end, to a pod that runs, or to a step that waits for a person."""
        for _ in range(1000):
            running = [node for node in self.machine.nodes.values() if node["phase"] == "Running"]
            if self.machine.done or (until and any(node["type"] == until for node in running)):
                return
            if until == "Pod" and self.pods:
                self.now += 1
                for identity in list(self.pods):
                    self.tell(p.PodRunning(self.now, identity))
            elif self.pods:
                self.end(next(iter(self.pods)))
            elif self.timers:
                at, token = heapq.heappop(self.timers)
                self.now = max(self.now, at)
                self.tell(p.TimerFired(self.now, token))
            else:
                return

    def verb(self, words: list[str]) -> None:
        """Do what ``argo`` was told to do. Raises ImpossibleError."""
        values = dict(itertools.pairwise(words))
        selector = values.get("--node-field-selector", "")
        given = dict([values["-p"].split("=")]) if "-p" in values else {}
        match words[0]:
            case "retry":
                after, _ = retried(
                    self.machine.workflow(),
                    STAMP,
                    parameters=given,
                    restart_successful="--restart-successful" in words,
                    selector=selector,
                )
                self.begin(after, earlier=after.pop("status"))
            case "resubmit":
                before = self.machine.workflow()
                before["metadata"]["generateName"] = "t"
                if "--memoized" in words:
                    after = memoized(before, "wo", STAMP, parameters=given)
                    self.names.append("two")
                    self.begin(after, earlier=after.pop("status"))
                else:
                    self.names.append("two")
                    self.begin(resubmitted(before, parameters=given))
            case "node":
                name, _, value = values["--output-parameter"].partition("=")
                self.tell(p.NodeSet(self.now, selector, output_parameters={name: value}))
            case "stop" if selector:
                self.tell(p.NodeSet(self.now, selector, phase="Failed", message=values.get("--message", "")))
            case "stop" | "terminate":
                self.tell(p.Shutdown(self.now, "Stop" if words[0] == "stop" else "Terminate"))
            case "suspend":
                self.tell(p.Suspend(self.now))
            case "resume":
                self.tell(p.Resume(self.now, selector))


@pytest.mark.parametrize("name", sorted(set(CASES) - set(OTHERWISE)))
def test_the_controller_does_the_same(name: str) -> None:
    text, steps = CASES[name]
    records = list(load_records()[name])
    case = Controlled(text, records)
    for step in steps:
        words = step.split()
        if words[0] == "wait":
            case.run()
            alike(clean(case.machine.workflow(), case.names), case.records.pop(0))
        elif words[0] in ("pod", "suspended"):
            case.run({"pod": "Pod", "suspended": "Suspend"}[words[0]])
        elif words[0] == "sleep":
            case.run()
            case.records.pop(0)
        elif case.records.pop(0)["code"]:
            if words[0] != "resume":  # that one is refused by who asks, before the machine hears of it
                with pytest.raises(ImpossibleError):
                    case.verb(words)
        else:
            case.verb(words)


def alike(ours: Json, theirs: Json) -> None:
    """The same but for labels that the object has of its own, and outputs of pods that were stopped."""
    for workflow in (ours, theirs):
        for key in ("labels", "progress", "step"):
            workflow.pop(key, None)
        for node in workflow["nodes"].values():
            if "shutdown" in node["message"]:
                node["outputs"] = {}
    assert ours == theirs
