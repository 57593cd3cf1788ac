"""Nodes whose names have one 32-bit hash: each is a node of its own, in order, through retry and resubmit, too.

Argo before September 2026 took the second for the first (argo-workflows, issue 16376 and pull request 16883). What must
come out is what comes out under names without a collision.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.replay import Replay
from tests.engine.machine.driving import NOW, echo, phases
from tiphys.argo.names import fnv32a
from tiphys.argo.verbs import memoized, retried
from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.machine import Machine

Json = Any
FIRST, SECOND = "task-17648", "task-200026"
LEAF = {
    "name": "leaf",
    "inputs": {"parameters": [{"name": "p"}]},
    "container": {"image": "i", "args": ["{{inputs.parameters.p}}"]},
}
EQUAL_UNDER_NEW_NAME = ("task-90628", "task-202344")
STAMP = "2026-11-27T00:00:00Z"


def task(name: str, value: str, **more: Json) -> Json:
    return {
        "name": name,
        "template": "leaf",
        "arguments": {"parameters": [{"name": "p", "value": value}]},
        **more,
    }


def flow(*tasks: Json) -> Json:
    templates = [{"name": "main", "dag": {"tasks": list(tasks)}}, LEAF]
    return {"metadata": {"name": "w"}, "spec": {"entrypoint": "main", "templates": templates}}


def ended(
    workflow: Json, name: str = "w", earlier: Json = None, failing: str = ""
) -> tuple[Machine, list[str]]:
    """The machine at its end, and the values that its pods were given, in their order."""
    given: list[str] = []

    def pod(command: p.StartPod) -> tuple[float, p.PodFinished]:
        [value] = command.template["container"]["args"]
        given.append(value)
        if value == failing:
            return 1.0, p.PodFinished(0, command.node_id, "Failed", "exit code 1", {"exitCode": "1"})
        return echo(command)

    made = Machine(workflow, name=name, uid="u", now=NOW, earlier=earlier)
    Replay(made, pod, start=NOW, steps=100_000).run()
    return made, given


def test_the_two_names_have_one_hash() -> None:
    assert fnv32a(f"w.{FIRST}") == fnv32a(f"w.{SECOND}")


@pytest.mark.parametrize("more", [{}, {"depends": FIRST}])
def test_two_tasks_with_one_hash_are_two_nodes(more: Json) -> None:
    made, given = ended(flow(task(FIRST, "1"), task(SECOND, "2", **more)))
    assert (made.phase, given) == ("Succeeded", ["1", "2"])
    assert phases(made) == {"w": "Succeeded", f"w.{FIRST}": "Succeeded", f"w.{SECOND}": "Succeeded"}
    assert all(node["id"] == identity for identity, node in made.nodes.items())


def test_the_second_starts_when_the_first_has_ended() -> None:
    made = Machine(flow(task(FIRST, "1"), task(SECOND, "2", depends=FIRST)), name="w", uid="u", now=NOW)
    [start] = [c for c in made.handle(p.Begin(NOW)) if isinstance(c, p.StartPod)]
    assert start.node_name == f"w.{FIRST}"
    [then] = [c for c in made.handle(echo(start)[1]) if isinstance(c, p.StartPod)]
    assert then.node_name == f"w.{SECOND}"
    assert then.node_id != start.node_id and then.pod_name != start.pod_name


def test_a_wide_fan_out_ends() -> None:
    # x(6058:6058) and x(6496:6496) of a workflow called f have one hash: it waited for ever
    templates = [
        {"name": "main", "steps": [[{**task("x", "{{item}}"), "withSequence": {"count": "10000"}}]]},
        LEAF,
    ]
    made, given = ended(
        {"metadata": {"name": "f"}, "spec": {"entrypoint": "main", "templates": templates}}, "f"
    )
    assert fnv32a("f[0].x(6058:6058)") == fnv32a("f[0].x(6496:6496)")
    assert made.phase == "Succeeded"
    assert sorted(given, key=int) == [str(number) for number in range(10_000)]
    assert len(made.nodes) == len({node["name"] for node in made.nodes.values()}) == 10_002


@pytest.mark.parametrize("failing", ["1", "2"])
def test_a_retry_runs_the_one_that_failed_and_keeps_the_other(failing: str) -> None:
    workflow = flow(task(FIRST, "1"), task(SECOND, "2"))
    made, _ = ended(workflow, failing=failing)
    assert made.phase == "Failed"
    other = next(n for n in made.nodes.values() if n["name"] == f"w.{SECOND if failing == '1' else FIRST}")
    again, pods = retried(made.workflow(), STAMP)
    assert len(pods) == 1 and other["id"] not in pods
    after, given = ended(workflow, earlier=again["status"])
    assert (after.phase, given) == ("Succeeded", [failing])
    assert after.nodes[other["id"]]["name"] == other["name"]
    assert set(phases(after)) == {"w", f"w.{FIRST}", f"w.{SECOND}"}


def test_a_memoized_resubmit_whose_new_name_makes_two_equal_keeps_both() -> None:
    # under the old name the two tasks have different hashes; the new one is w-x, and there these two are equal
    first, second = EQUAL_UNDER_NEW_NAME
    workflow = flow(task(first, "1"), task(second, "2"), task("bad", "3", depends=f"{first} && {second}"))
    made, _ = ended(workflow, failing="3")
    assert len(made.nodes) == 4
    again = memoized(made.workflow(), "x", STAMP)
    assert again["metadata"]["name"] == "w-x"
    assert fnv32a(f"w-x.{first}") == fnv32a(f"w-x.{second}")
    taken = {node["message"] for node in again["status"]["nodes"].values() if node["phase"] == "Skipped"}
    old = {n["id"] for n in made.nodes.values() if n["name"] in (f"w.{first}", f"w.{second}")}
    assert taken == {f"original pod: {identity}" for identity in old}
    after, given = ended(again, "w-x", again["status"])
    assert (after.phase, given) == ("Succeeded", ["3"])


def test_a_run_that_can_never_end_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # the fault of old, put back: all pods have ended, and the DAG waits for the second of two tasks that are one node
    monkeypatch.setattr("tiphys.argo.names.NodeIDs.find", lambda ids, name: ids._narrow(name))
    made, _ = ended(flow(task(FIRST, "1"), task(SECOND, "2")))
    assert (made.phase, made.nodes["w"]["phase"]) == ("Error", "Error")
    assert made.message == "every step has ended or can never start, and the workflow is not over: w"
