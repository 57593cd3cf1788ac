"""What holds for any order of events."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.conformance.generate import generate
from tests.conformance.replay import Replay
from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.machine import Machine

Json = Any


def _with_pods(seed: int) -> dict[str, Json]:
    """Return a random workflow whose leaves are pods that succeed or fail."""
    workflow = generate(seed)
    workflow["metadata"] = {"name": "wf"}
    workflow["spec"].pop("parallelism", None)
    for template in workflow["spec"]["templates"]:
        template.pop("parallelism", None)
        if "dag" in template:
            # with failFast a DAG may end before what waits for a loop has begun: there the order does count
            template["dag"]["failFast"] = False
        if "suspend" in template:
            template.pop("suspend")
            template["container"] = {"image": "i", "args": [template["name"], "{{inputs.parameters.x}}"]}
            template["outputs"] = {"parameters": [{"name": "r", "valueFrom": {"path": "/r", "default": "d"}}]}
    return workflow


def _run(seed: int, order: int) -> tuple[Machine, list[p.Event]]:
    machine = Machine(_with_pods(seed), name="wf", uid="uid", now=1e9)
    random = Random(order)

    def pod(command: p.StartPod) -> tuple[float, p.PodFinished]:
        name, value = command.template["container"]["args"]
        outputs = {"exitCode": "0", "parameters": [{"name": "r", "value": value}]}
        failed = name == "err" or (name == "again" and command.retry_attempt == 0)
        end = p.PodFinished(
            0, command.node_id, "Failed" if failed else "Succeeded", "no" if failed else "", outputs
        )
        return random.choice([0.0, 1.0, 2.0, 3.0, 7.0]) + random.random(), end

    driver = Replay(machine, pod)
    driver.run()
    return machine, driver.history


def _outcome(machine: Machine) -> dict[str, Json]:
    nodes = machine.workflow()["status"].get("nodes") or {}
    names = {identity: node["name"] for identity, node in nodes.items()}
    kept = {
        node["name"]: (
            node["type"],
            node["phase"],
            sorted(names[child] for child in node.get("children") or () if child in names),
            [item.get("value") for item in (node.get("outputs") or {}).get("parameters") or ()],
        )
        for node in nodes.values()
    }
    return {"phase": machine.phase, "nodes": kept}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.integers(0, 1_000_000))
def test_the_outcome_does_not_depend_on_the_order_in_which_pods_end(seed: int, order: int) -> None:
    first, _ = _run(seed, 0)
    second, _ = _run(seed, order)
    assert first.done
    # whether a task that could not even begin gets its exit handler depends on when the controller looks again
    assume(not any(node["type"] == "Skipped" and node["phase"] == "Error" for node in first.nodes.values()))
    # a step that could not be executed ends its group at once (steps.go), and what runs beside it is left Running
    assume(not any(node["phase"] == "Running" for made in (first, second) for node in made.nodes.values()))
    assert _outcome(first) == _outcome(second)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.integers(0, 1_000_000))
def test_a_history_replayed_gives_the_same_state_and_the_same_commands(seed: int, order: int) -> None:
    machine, history = _run(seed, order)
    again = Machine(_with_pods(seed), name="wf", uid="uid", now=1e9)
    for event in history:
        again.handle(event)
    assert again.workflow() == machine.workflow()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_ended_nodes_never_change_their_phase(seed: int) -> None:
    machine, history = _run(seed, seed)
    again = Machine(_with_pods(seed), name="wf", uid="uid", now=1e9)
    ended: dict[str, str] = {}
    for event in history:
        again.handle(event)
        for identity in again.changed:
            phase = again.nodes[identity]["phase"]
            if identity in ended:
                assert ended[identity] == phase
            elif phase in ("Succeeded", "Failed", "Skipped", "Omitted"):
                ended[identity] = phase
    assert machine.done
