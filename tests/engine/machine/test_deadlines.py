"""Deadlines of the workflow and timeouts of templates, of what runs and of what waits (Argo 4.1.2, operator.go)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.machine.driving import NOW, begun, named, phases
from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.machine import Machine

OVER = "Step exceeded its deadline"


def fire(made: Machine, commands: list[p.Command], at: float) -> list[p.Command]:
    """The timer of that moment fires."""
    (token,) = {each.token for each in commands if isinstance(each, p.SetTimer) and each.at == at}
    return made.handle(p.TimerFired(at, token))


PAIR = """
entrypoint: main
activeDeadlineSeconds: 10
onExit: bye
templates:
- {name: main, steps: [[{name: a, template: pod}, {name: b, template: pod}, {name: w, template: wait}]]}
- {name: pod, container: {image: i}}
- {name: wait, suspend: {}}
- {name: bye, container: {image: i}}
"""


def test_at_the_workflows_deadline_all_that_runs_is_stopped_and_the_exit_handler_runs() -> None:
    made, commands = begun(PAIR)
    first, second = (each.node_id for each in commands if isinstance(each, p.StartPod))
    made.handle(p.PodRunning(NOW + 1, first))
    after = fire(made, commands, NOW + 10)
    assert {each.node_id for each in after if isinstance(each, p.StopPod)} == {first, second}
    # one that had not begun ends at once, one that runs when its pod has ended
    assert phases(made)["wf[0].b"] == "Failed"
    assert phases(made)["wf[0].a"] == "Running"
    assert phases(made)["wf[0].w"] == "Failed"
    after = made.handle(p.PodFinished(NOW + 11, first, "Failed", "killed"))
    (bye,) = (each for each in after if isinstance(each, p.StartPod))
    assert bye.node_name == "wf.onExit"
    made.handle(p.PodFinished(NOW + 12, bye.node_id, "Succeeded"))
    assert made.phase == "Failed"


def test_an_exit_handler_that_runs_is_spared_by_the_deadline() -> None:
    made, commands = begun(
        PAIR.replace(
            "steps: [[{name: a, template: pod}, {name: b, template: pod}, {name: w, template: wait}]]",
            "container: {image: i}",
        )
    )
    made.handle(p.PodFinished(NOW + 1, "wf", "Succeeded"))
    assert phases(made)["wf.onExit"] == "Pending"
    after = fire(made, commands, NOW + 10)
    assert not [each for each in after if isinstance(each, p.StopPod)]
    made.handle(p.PodFinished(NOW + 12, named(made, "wf.onExit")["id"], "Succeeded"))
    assert made.phase == "Succeeded"


RETRIED = """
entrypoint: main
activeDeadlineSeconds: 10
templates: [{name: main, retryStrategy: {limit: 5}, container: {image: i}}]
"""


def test_after_the_deadline_no_attempt_follows() -> None:
    made, commands = begun(RETRIED)
    first = named(made, "wf(0)")["id"]
    made.handle(p.PodRunning(NOW + 1, first))
    fire(made, commands, NOW + 10)
    made.handle(p.PodFinished(NOW + 11, first, "Failed", "killed"))
    assert made.phase == "Failed"
    assert "wf(1)" not in phases(made)
    assert "deadline" in named(made, "wf")["message"]


@pytest.mark.parametrize("strategy", ["Stop", "Terminate"])
def test_an_attempt_that_succeeds_all_the_same_counts(strategy: Any) -> None:
    made, _ = begun(RETRIED)
    first = named(made, "wf(0)")["id"]
    made.handle(p.PodRunning(NOW + 1, first))
    made.handle(p.Shutdown(NOW + 2, strategy))
    made.handle(p.PodFinished(NOW + 3, first, "Succeeded"))
    assert made.done
    assert "wf(1)" not in phases(made)


GROUPS = """
entrypoint: main
templates:
- {name: main, GROUP, retryStrategy: {limit: 2}}
- {name: pod, timeout: 10s, container: {image: i}}
"""


@pytest.mark.parametrize(
    "group", ["steps: [[{name: a, template: pod}]]", "dag: {tasks: [{name: a, template: pod}]}"]
)
def test_a_timeout_inside_a_retried_template_is_followed_by_another_attempt(group: str) -> None:
    made, commands = begun(GROUPS.replace("GROUP", group))
    for attempt in range(3):
        start = NOW + 10 * attempt
        assert f"wf({attempt})" in phases(made)
        commands = fire(made, commands, start + 10)
    assert made.phase == "Failed"
    assert [phase for name, phase in phases(made).items() if name.endswith((".a",))] == ["Failed"] * 3
    assert named(made, "wf")["message"] == "No more retries left"


@pytest.mark.parametrize(
    "group", ["steps: [[{name: a, template: pod}]]", "dag: {tasks: [{name: a, template: pod}]}"]
)
def test_a_shutdown_ends_the_attempt_of_a_group(group: str) -> None:
    made, commands = begun(GROUPS.replace("GROUP", group))
    (start,) = (each for each in commands if isinstance(each, p.StartPod))
    made.handle(p.PodRunning(NOW + 1, start.node_id))
    made.handle(p.Shutdown(NOW + 2, "Terminate"))
    made.handle(p.PodFinished(NOW + 3, start.node_id, "Failed", "killed"))
    assert made.phase == "Failed"
    assert "wf(1)" not in phases(made)


@pytest.mark.parametrize("field", ["timeout", "pendingTimeout"])
def test_no_time_at_all_fails_at_once(field: str) -> None:
    made, commands = begun(
        f"{{entrypoint: main, templates: [{{name: main, {field}: 0s, container: {{image: i}}}}]}}"
    )
    assert made.phase == "Failed"
    assert not [each for each in commands if isinstance(each, p.StartPod)]
