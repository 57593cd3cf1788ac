"""Runs that go on after a retry or a memoized resubmit, from workflows that Argo's own functions made ready again.

What those kept as Succeeded does not run a second time; all else does, and when its pods succeed, so does the workflow.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.argo.verbs.recorded import NOW, cases, given, shown
from tests.conformance.replay import Replay
from tiphys.argo.names import NodeIDs
from tiphys.argo.verbs import memoized, retried
from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.machine import Machine

Json = Any
# tasks that run after a failure only, a failure that is kept because what follows it succeeded, pods that never end
NEVER = ("after-all", "two", "none", "three")


def ended(workflow: Json, name: str) -> tuple[Machine, list[str]]:
    """The machine at its end, with pods that all succeed, and the names of their nodes."""
    started = []

    def pod(command: p.StartPod) -> tuple[float, p.PodFinished]:
        started.append(command.node_name)
        declared = (command.template.get("outputs") or {}).get("parameters") or ()
        outputs = {
            "exitCode": "0",
            "parameters": [{"name": item["name"], "value": "hi"} for item in declared],
        }
        return 1.0, p.PodFinished(0, command.node_id, "Succeeded", "", outputs)

    earlier = workflow.pop("status")
    made = Machine(workflow, name=name, uid="UID", now=2_000_000_000.0, context=(), earlier=earlier)
    Replay(made, pod, start=2_000_000_000.0).run()
    return made, started


RETRIES = [
    case
    for case in cases("retry")
    if "error" not in case["answer"] and "parameters" not in case and case["case"] not in NEVER
]


@pytest.mark.parametrize("case", RETRIES, ids=shown)
def test_a_retry_runs_what_argo_did_not_keep_and_nothing_else(case: Json) -> None:
    ask = {"restart_successful": bool(case.get("restart")), "selector": case.get("selector", "")}
    after, _ = retried(given(case), NOW, **ask)
    made, started = ended(after, "wf")
    assert made.phase == "Succeeded", made.message
    kept = {key for key, node in case["answer"]["nodes"].items() if node["phase"] == "Succeeded"}
    before = given(case)["status"]["nodes"]
    again = {NodeIDs("wf").find(name) for name in started}
    assert not again & kept
    for identity in kept:
        assert made.nodes[identity]["startedAt"] == before[identity]["startedAt"]


MEMOIZED = [case for case in cases("memoized") if "error" not in case["answer"] and case["case"] not in NEVER]


@pytest.mark.parametrize("case", MEMOIZED, ids=shown)
def test_a_memoized_resubmit_runs_what_had_not_succeeded(case: Json) -> None:
    after = memoized(given(case), "abc", NOW)
    name = after["metadata"]["name"]
    made, started = ended(after, name)
    assert made.phase == "Succeeded", made.message
    taken = {text.removeprefix("original pod: ") for text in case["answer"]["taken"]}
    before = given(case)["status"]["nodes"]
    names = {name + before[identity]["name"].removeprefix("wf") for identity in taken}
    assert not names & set(started)
