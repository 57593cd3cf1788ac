"""Which attempts are followed by another: policies, limits, expressions. Argo 4.1.2, controller/operator.go."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

from tests.engine.machine.driving import NOW, drive, machine, named, phases
from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.machine import Machine

Json = Any
Ending = tuple[Literal["Succeeded", "Failed", "Error"], str]


def ran(strategy: Json, *endings: Ending) -> Machine:
    """A retried pod whose attempts end so; the last ending stands for all that follow."""
    left = list(endings)

    def pod(command: p.StartPod) -> tuple[float, p.PodFinished]:
        phase, message = left.pop(0) if len(left) > 1 else left[0]
        outputs = {"exitCode": "0" if phase == "Succeeded" else "2"}
        return 1.0, p.PodFinished(0, command.node_id, phase, message, outputs)

    main = {"name": "main", "retryStrategy": strategy, "container": {"image": "i"}}
    return drive(json.dumps({"entrypoint": "main", "templates": [main]}), pod)


def attempts(made: Machine) -> list[str]:
    return [phase for name, phase in phases(made).items() if name != "wf"]


FAILED: Ending = ("Failed", "main: Error (exit code 2)")
ERROR: Ending = ("Error", "pod deleted")
FALSE = "retryStrategy.expression evaluated to false"
PASSING: Ending = ("Error", "net/http: TLS handshake timeout")


@pytest.mark.parametrize(
    ("strategy", "ending", "count", "message"),
    [
        # docs/retries.md: OnFailure is the default; OnTransientError looks at the message
        ({"limit": 1}, FAILED, 2, "No more retries left"),
        ({"limit": 1}, ERROR, 1, "pod deleted"),
        ({"limit": "1", "retryPolicy": "OnFailure"}, FAILED, 2, "No more retries left"),
        ({"limit": 1, "retryPolicy": "OnError"}, FAILED, 1, "main: Error (exit code 2)"),
        ({"limit": 1, "retryPolicy": "OnError"}, ERROR, 2, "No more retries left"),
        ({"limit": 1, "retryPolicy": "Always"}, ERROR, 2, "No more retries left"),
        ({"limit": 1, "retryPolicy": "OnTransientError"}, ERROR, 1, "pod deleted"),
        ({"limit": 1, "retryPolicy": "OnTransientError"}, PASSING, 2, "No more retries left"),
        ({"limit": 0}, FAILED, 1, "No more retries left"),
        ({"limit": 9, "expression": "lastRetry.exitCode == '0'"}, FAILED, 1, FALSE),
        ({"limit": 9, "expression": "asInt(retries) < 2"}, FAILED, 3, FALSE),
        ({"limit": 1, "expression": "lastRetry.status == 'Failed'"}, FAILED, 2, "No more retries left"),
        ({"expression": "lastRetry.message == 'pod deleted' && asInt(retries) < 1"}, ERROR, 2, FALSE),
    ],
)  # fmt: skip
def test_who_is_followed_by_another(strategy: Json, ending: Ending, count: int, message: str) -> None:
    made = ran(strategy, ending)
    assert attempts(made) == [ending[0]] * count
    assert (named(made, "wf")["phase"], named(made, "wf")["message"]) == (ending[0], message)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ({"limit": 2, "retryPolicy": "Sometimes"}, "Sometimes is not a valid RetryPolicy"),
        ({"limit": "many"}, "many"),
        ({"limit": 2, "expression": "lastRetry.exitCode +"}, "unexpected token"),
        ({"limit": 2, "expression": "1 + 1"}, "unable to cast expression result '2' to bool"),
        ({"limit": 2, "backoff": {"duration": "soon"}}, "soon"),
    ],
)
def test_a_strategy_that_cannot_be_read_is_an_error(strategy: Json, message: str) -> None:
    made = ran(strategy, FAILED)
    assert made.phase == "Error"
    assert message in made.message


def test_success_ends_it_with_the_outputs_of_the_last_attempt() -> None:
    made = ran({"limit": 5}, FAILED, FAILED, ("Succeeded", ""))
    assert attempts(made) == ["Failed", "Failed", "Succeeded"]
    assert named(made, "wf")["outputs"] == {"exitCode": "0"}
    assert not named(made, "wf").get("message")


WAITING = """
entrypoint: main
templates: [{name: main, retryStrategy: {limit: 5, backoff: {duration: 10s, factor: 2}}, container: {image: i}}]
"""


def waiting() -> tuple[Machine, p.SetTimer]:
    """A machine that waits before the second attempt."""
    made = machine(WAITING)
    made.handle(p.Begin(NOW))
    commands = made.handle(p.PodFinished(NOW + 1, named(made, "wf(0)")["id"], "Failed", "no"))
    (timer,) = (command for command in commands if isinstance(command, p.SetTimer))
    return made, timer


def test_a_backoff_is_waited_for() -> None:
    made, timer = waiting()
    assert timer.at == NOW + 11
    assert attempts(made) == ["Failed"]
    made.handle(p.TimerFired(timer.at, timer.token))
    assert attempts(made) == ["Failed", "Pending"]


@pytest.mark.parametrize("strategy", ["Stop", "Terminate"])
def test_a_shutdown_ends_the_wait(strategy: Literal["Stop", "Terminate"]) -> None:
    made, _ = waiting()
    made.handle(p.Shutdown(NOW + 2, strategy))
    assert (made.phase, attempts(made)) == ("Failed", ["Failed"])
    assert named(made, "wf")["message"] == f"Stopped with strategy '{strategy}'"


def test_a_shutdown_lets_no_attempt_follow() -> None:
    made = machine(WAITING)
    made.handle(p.Begin(NOW))
    first = named(made, "wf(0)")["id"]
    made.handle(p.PodRunning(NOW + 1, first))
    made.handle(p.Shutdown(NOW + 2, "Stop"))
    made.handle(p.PodFinished(NOW + 3, first, "Failed", "killed"))
    assert (made.phase, attempts(made)) == ("Failed", ["Failed"])
