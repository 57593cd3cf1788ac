"""Pods of the pure machine: daemons, timeouts, what cannot be made. Argo 4.1.2, workflow/controller/operator.go."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.machine.driving import NOW, begun, drive, named, phases
from tiphys.engine.machine import protocol as p

Json = Any
DAEMON = """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: d, template: daemon}
  - - {name: a, template: ask, arguments: {parameters: [{name: ip, value: "{{steps.d.ip}}"}]}}
- {name: daemon, daemon: true, container: {image: i}RETRY}
- {name: ask, inputs: {parameters: [{name: ip}]}, container: {image: i, args: ["{{inputs.parameters.ip}}"]}}
"""


def the(kind: type, commands: list[p.Command]) -> Any:
    """The one command of its kind."""
    (found,) = (command for command in commands if isinstance(command, kind))
    return found


@pytest.mark.parametrize("retry", ["", ", retryStrategy: {limit: 1}"])
def test_who_waits_for_a_daemon_goes_on_when_it_is_ready(retry: str) -> None:
    made, commands = begun(DAEMON.replace("RETRY", retry))
    daemon = the(p.StartPod, commands)
    assert daemon.daemon
    after = the(p.StartPod, made.handle(p.PodRunning(NOW + 1, daemon.node_id, "10.0.0.7")))
    assert after.template["container"]["args"] == ["10.0.0.7"]
    assert not after.daemon
    assert named(made, "wf[0].d")["daemoned"] is True
    commands = made.handle(p.PodFinished(NOW + 2, after.node_id, "Succeeded"))
    assert {command.node_id for command in commands if isinstance(command, p.StopPod)} == {daemon.node_id}
    made.handle(p.PodFinished(NOW + 3, daemon.node_id, "Failed", "killed"))
    assert made.phase == "Succeeded"
    # its end is asked for: a daemon that was stopped with its boundary counts as Succeeded
    assert phases(made)["wf[0].d"] == "Succeeded"
    assert "daemoned" not in named(made, "wf[0].d")


@pytest.mark.parametrize("retry", ["", ", retryStrategy: {limit: 1}"])
def test_a_daemon_that_ends_by_itself_keeps_how_it_ended(retry: str) -> None:
    made, commands = begun(DAEMON.replace("RETRY", retry))
    daemon = the(p.StartPod, commands)
    after = the(p.StartPod, made.handle(p.PodRunning(NOW + 1, daemon.node_id, "10.0.0.7")))
    made.handle(p.PodFinished(NOW + 2, daemon.node_id, "Failed", "main: Error (exit code 1)"))
    assert (phases(made)["wf[0].d"], named(made, "wf[0].d")["message"]) == (
        "Failed",
        "main: Error (exit code 1)",
    )
    made.handle(p.PodFinished(NOW + 3, after.node_id, "Succeeded"))
    assert made.done


def test_a_daemon_that_never_becomes_ready_fails_like_any_pod() -> None:
    made, commands = begun(DAEMON.replace("RETRY", ""))
    daemon = the(p.StartPod, commands)
    made.handle(p.PodFinished(NOW + 2, daemon.node_id, "Failed", "main: Error (exit code 1)"))
    assert (made.phase, phases(made)["wf[0].d"]) == ("Failed", "Failed")
    assert "wf[1]" not in phases(made)


def test_a_stop_ends_daemons_too() -> None:
    made, commands = begun(DAEMON.replace("RETRY", ""))
    daemon = the(p.StartPod, commands)
    after = the(p.StartPod, made.handle(p.PodRunning(NOW + 1, daemon.node_id, "10.0.0.7")))
    made.handle(p.PodRunning(NOW + 1, after.node_id))
    commands = made.handle(p.Shutdown(NOW + 2, "Terminate"))
    stopped = {command.node_id for command in commands if isinstance(command, p.StopPod)}
    assert stopped == {daemon.node_id, after.node_id}
    made.handle(p.PodFinished(NOW + 3, after.node_id, "Failed"))
    assert made.phase == "Failed"
    assert named(made, "wf[1].a")["message"] == "workflow shutdown with strategy:  Terminate"


ONE = "{entrypoint: main, templates: [{name: main, container: {image: i}%s}]}"


@pytest.mark.parametrize("field", ["timeout", "pendingTimeout"])
def test_a_pod_that_waits_for_its_node_too_long_fails(field: str) -> None:
    # operator.go: "timeout" counts from the node's start, and a Pending node has not begun
    made, commands = begun(ONE % f", {field}: 10s")
    timer = next(command for command in commands if isinstance(command, p.SetTimer))
    assert timer.at == NOW + 10
    commands = made.handle(p.TimerFired(NOW + 10, timer.token))
    assert the(p.StopPod, commands).node_id == "wf"
    assert (made.phase, phases(made)["wf"]) == ("Failed", "Failed")


def test_a_pending_timeout_leaves_alone_what_runs() -> None:
    made, commands = begun(ONE % ", pendingTimeout: 10s")
    timer = the(p.SetTimer, commands)
    made.handle(p.PodRunning(NOW + 1, "wf"))
    assert made.handle(p.TimerFired(NOW + 10, timer.token)) == []
    made.handle(p.PodFinished(NOW + 60, "wf", "Succeeded"))
    assert made.phase == "Succeeded"


@pytest.mark.parametrize(
    ("more", "deadline"),
    [
        (", activeDeadlineSeconds: 7", NOW + 7),
        (", timeout: 5s", NOW + 5),
        (", timeout: 5s, activeDeadlineSeconds: 7", NOW + 5),
        (", timeout: 9s, activeDeadlineSeconds: 7", NOW + 7),
        ("", None),
    ],
)
def test_a_pod_is_told_the_earlier_of_its_deadlines(more: str, deadline: float | None) -> None:
    _, commands = begun(ONE % more)
    assert the(p.StartPod, commands).deadline == deadline


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "container: {image: i, volumeMounts: [{name: v, mountPath: /v}]}",
            "volume 'v' not found in workflow spec",
        ),
        (
            "inputs: {artifacts: [{name: a, path: /a, plugin: {name: p, key: k}}]}, container: {image: i}",
            'Pod "wf" is invalid: [spec.initContainers[1].name: Required value, '
            "spec.initContainers[1].image: Required value]",  # asked of 4.0.5
        ),
        # Kubernetes, pkg/apis/core/validation: ValidateEnv; Argo's own container is the first of the pod
        (
            "container: {image: i, env: [{}]}",
            'Pod "wf" is invalid: spec.containers[1].env[0].name: Required value',
        ),
        (
            "script: {image: i, source: x, env: [{name: A, value: b}, {value: c}]}, "
            "sidecars: [{name: s, image: i, env: [{name: ''}]}]",
            'Pod "wf" is invalid: [spec.containers[1].env[1].name: Required value, '
            "spec.containers[2].env[0].name: Required value]",
        ),
    ],
)
def test_a_pod_that_cannot_be_made_is_an_error(template: str, message: str) -> None:
    made = drive(f"{{entrypoint: main, templates: [{{name: main, {template}}}]}}")
    assert (made.phase, named(made, "wf")["phase"]) == ("Error", "Error")
    assert message in named(made, "wf")["message"]


def test_the_driver_of_an_output_is_missed_before_that_of_an_input() -> None:
    artifacts = "[{name: a, path: /a, plugin: {name: %s, key: k}}]"
    made = drive(
        "{entrypoint: main, templates: [{name: main, container: {image: i}, "
        f"inputs: {{artifacts: {artifacts % 'p'}}}, outputs: {{artifacts: {artifacts % 'q'}}}}}]}}"
    )
    assert named(made, "wf")["message"] == "artifact driver q not found"


def test_a_pod_that_the_api_server_refused_is_an_error_of_what_contains_it() -> None:
    def refused(command: p.StartPod) -> tuple[float, p.PodFinished]:
        return 0.0, p.PodFinished(0, command.node_id, "Error", 'pods "x" is forbidden', created=False)

    made = drive(
        "{entrypoint: main, templates: [{name: main, steps: [[{name: a, template: p}]]}, "
        "{name: p, container: {image: i}}]}",
        refused,
    )
    # steps.go: the group is in Error, the template with the failed group is Failed, with the group's message
    assert phases(made) == {"wf": "Failed", "wf[0]": "Error", "wf[0].a": "Error"}
    assert made.message == 'step group deemed errored due to child wf[0].a error: pods "x" is forbidden'
