"""Deadlines and timeouts of nodes that wait for a lock: Argo fails Pending nodes, whatever else goes on.

Source: argo-workflows, workflow/controller/operator.go (failNodesWithoutCreatedPodsAfterDeadlineOrShutdown,
checkTemplateTimeouts).
"""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.engine.machine.driving import NOW, drive, machine, named
from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.machine import Machine

LOCK = "argo/Mutex/m"
TEXT = f"Waiting for {LOCK} lock. Lock status: 0/1"


def spec(kind: str, template: str = "", workflow: str = "") -> str:
    """A step below ``main`` of the given kind that wants a mutex."""
    call = {
        "steps": "steps: [[{name: inner, template: inner}]]",
        "dag": "dag: {tasks: [{name: inner, template: inner}]}",
    }[kind]
    return f"""
entrypoint: main
{workflow}
templates:
- name: main
  {call}
- name: inner
  synchronization: {{mutexes: [{{name: m}}]}}
  container: {{image: i}}
  {template}
"""


def waiting(text: str) -> tuple[Machine, str, list[p.SetTimer]]:
    """A machine whose only live node waits for its lock; its ID, and the timers that were asked for."""
    made = machine(text)
    commands = made.handle(p.Begin(NOW))
    [ask] = [command for command in commands if isinstance(command, p.AcquireLocks)]
    commands += made.handle(p.LocksWaiting(NOW, ask.node_id, TEXT, LOCK))
    return made, ask.node_id, [command for command in commands if isinstance(command, p.SetTimer)]


@pytest.mark.parametrize("kind", ["steps", "dag"])
def test_the_workflows_deadline_fails_what_waits(kind: str) -> None:
    made, identity, [timer] = waiting(spec(kind, workflow="activeDeadlineSeconds: 6"))
    assert timer.at == NOW + 6
    commands = made.handle(p.TimerFired(NOW + 6, timer.token))
    node = made.nodes[identity]
    assert (node["phase"], node["message"]) == ("Failed", "Step exceeded its deadline")
    assert node["synchronizationStatus"] == {"waiting": LOCK}
    assert p.ReleaseLocks(identity) in commands
    assert made.done and made.phase == "Failed"
    assert made.handle(p.LocksGranted(NOW + 7, identity)) == []


@pytest.mark.parametrize(
    ("template", "at"),
    [
        ("timeout: 3s", 3),
        ("timeout: '3'", 3),
        ("pendingTimeout: 2s", 2),
        ("{timeout: 3s, pendingTimeout: 2s}", 2),
        ("{timeout: 3s, retryStrategy: {limit: 2}}", 3),
    ],
)
@pytest.mark.parametrize("kind", ["steps", "dag"])
def test_a_templates_timeout_counts_the_wait(kind: str, template: str, at: int) -> None:
    more = template.strip("{}").replace(", ", "\n  ") if template.startswith("{") else template
    more = more.replace("limit: 2", "limit: 2}") if "limit" in more else more
    made, identity, [timer] = waiting(spec(kind, template=more))
    assert timer.at == NOW + at
    commands = made.handle(p.TimerFired(NOW + at, timer.token))
    node = made.nodes[identity]
    assert (node["phase"], node["message"]) == ("Failed", "timeout")
    assert p.ReleaseLocks(identity) in commands
    assert made.done and made.phase == "Failed"


def test_who_gets_the_lock_in_time_is_left_alone() -> None:
    made, identity, [timer] = waiting(spec("dag", template="timeout: 3s"))
    commands = made.handle(p.LocksGranted(NOW + 1, identity))
    [start] = [command for command in commands if isinstance(command, p.StartPod)]
    assert start.deadline == NOW + 3
    made.handle(p.PodRunning(NOW + 2, identity))
    made.handle(p.TimerFired(NOW + 3, timer.token))
    assert made.nodes[identity]["phase"] == "Running"


def test_an_exit_handler_that_waits_is_spared_by_deadline_and_stop_but_not_by_terminate() -> None:
    text = """
entrypoint: main
onExit: leave
activeDeadlineSeconds: 6
templates:
- name: main
  container: {image: i}
- name: leave
  synchronization: {mutexes: [{name: m}]}
  container: {image: i}
"""
    made = machine(text)
    commands = made.handle(p.Begin(NOW))
    [timer] = [command for command in commands if isinstance(command, p.SetTimer)]
    [start] = [command for command in commands if isinstance(command, p.StartPod)]
    commands = made.handle(p.PodFinished(NOW + 1, start.node_id, "Succeeded", ""))
    [ask] = [command for command in commands if isinstance(command, p.AcquireLocks)]
    made.handle(p.LocksWaiting(NOW + 1, ask.node_id, TEXT, LOCK))
    for event in (p.TimerFired(NOW + 6, timer.token), p.Shutdown(NOW + 7, "Stop")):
        made.handle(event)
        assert named(made, "wf.onExit")["phase"] == "Pending" and not made.done
    made.handle(p.Shutdown(NOW + 8, "Terminate"))
    assert named(made, "wf.onExit")["phase"] == "Failed" and made.done


def test_a_wait_that_begins_after_the_deadline_is_over_at_once() -> None:
    made = machine(spec("steps", workflow="activeDeadlineSeconds: 6"))
    commands = made.handle(p.Begin(NOW))
    [ask] = [command for command in commands if isinstance(command, p.AcquireLocks)]
    [timer] = [command for command in commands if isinstance(command, p.SetTimer)]
    made.handle(p.TimerFired(NOW + 6, timer.token))
    made.handle(p.LocksWaiting(NOW + 6, ask.node_id, TEXT, LOCK))
    assert made.nodes[ask.node_id]["message"] == "Step exceeded its deadline"
    assert made.done and made.phase == "Failed"


def test_the_timers_of_what_has_ended_keep_nothing_waiting() -> None:
    """A recursion that Argo does not follow any deeper ends here at once, not when its steps' timeouts are over."""
    made = drive("""
entrypoint: main
templates:
- name: main
  steps: [[{name: a, template: leaf}], [{name: again, template: main}]]
- name: leaf
  timeout: 10h
  container: {image: i, args: [x]}
""")
    took = datetime.fromisoformat(made.workflow()["status"]["finishedAt"]).timestamp() - NOW
    assert made.phase == "Failed" and took < 3600


def test_a_pod_that_has_no_room_says_so_until_it_runs() -> None:
    """As the controller, which writes the condition PodScheduled of a Pending pod as its node's message."""
    made = machine("entrypoint: a\ntemplates: [{name: a, container: {image: i}}]")
    [start] = [each for each in made.handle(p.Begin(NOW)) if isinstance(each, p.StartPod)]
    made.handle(p.PodWaiting(NOW + 1, start.node_id, "Unschedulable: no room"))
    node = made.nodes[start.node_id]
    assert (node["phase"], node["message"]) == ("Pending", "Unschedulable: no room")
    assert start.node_id in made.changed
    made.handle(p.PodRunning(NOW + 2, start.node_id))
    assert node["phase"] == "Running" and "message" not in node
    made.handle(p.PodWaiting(NOW + 3, start.node_id, "late"))
    assert "message" not in node
    made.handle(p.PodFinished(NOW + 4, start.node_id, "Succeeded", ""))
    made.handle(p.PodWaiting(NOW + 5, start.node_id, "later"))
    assert (node["phase"], node.get("message", "")) == ("Succeeded", "")
