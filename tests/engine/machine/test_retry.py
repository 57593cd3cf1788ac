"""retryStrategy: attempts, backoff, policy, expression."""

from __future__ import annotations

import pytest

from tests.engine.machine.driving import drive, named, phases
from tiphys.engine.machine import protocol as p


def spec(strategy: str, args: str = "[fail]") -> str:
    return f"""
entrypoint: main
templates:
- name: main
  retryStrategy: {strategy}
  container: {{image: i, args: {args}}}
"""


def test_limit_counts_retries_after_the_first_attempt() -> None:
    made = drive(spec("{limit: 2}"))
    assert sorted(phases(made)) == ["wf", "wf(0)", "wf(1)", "wf(2)"]
    assert (made.phase, made.message) == ("Failed", "No more retries left")
    assert named(made, "wf")["type"] == "Retry"
    assert named(made, "wf(1)")["nodeFlag"] == {"retried": True}


def test_success_ends_the_retries() -> None:
    made = drive(spec("{limit: 5}", "[fail, 2]"))
    assert made.phase == "Succeeded"
    assert sorted(phases(made)) == ["wf", "wf(0)", "wf(1)", "wf(2)"]
    assert named(made, "wf")["outputs"] == {"exitCode": "0"}


def test_backoff_waits_longer_each_time() -> None:
    waits: list[str] = []

    def pod(command: p.StartPod) -> tuple[float, p.PodFinished]:
        waits.append(command.node_name)
        return 1.0, p.PodFinished(0, command.node_id, "Failed", "main: Error (exit code 1)")

    made = drive(spec('{limit: 2, backoff: {duration: "10", factor: 3}}'), pod)
    first, second, third = (named(made, f"wf({number})") for number in range(3))
    assert (second["startedAt"][-4:], third["startedAt"][-4:]) != ("", "")
    assert _seconds(second["startedAt"]) - _seconds(first["finishedAt"]) == 10
    assert _seconds(third["startedAt"]) - _seconds(second["finishedAt"]) == 30


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@pytest.mark.parametrize(
    ("strategy", "attempts", "message"),
    [
        ("{limit: 3, retryPolicy: OnError}", 1, "main: Error (exit code 1)"),
        (
            "{limit: 3, expression: 'asInt(lastRetry.exitCode) > 1'}",
            1,
            "retryStrategy.expression evaluated to false",
        ),
        ("{limit: 3, expression: 'asInt(retries) < 1'}", 2, "retryStrategy.expression evaluated to false"),
        ("{limit: '1', retryPolicy: Always}", 2, "No more retries left"),
    ],
)
def test_policy_and_expression(strategy: str, attempts: int, message: str) -> None:
    made = drive(spec(strategy))
    assert len(made.nodes) == attempts + 1
    assert (made.phase, made.message) == ("Failed", message)


def test_attempts_see_their_number() -> None:
    seen = []

    def pod(command: p.StartPod) -> tuple[float, p.PodFinished]:
        seen.append(command.template["container"]["args"])
        return 1.0, p.PodFinished(
            0, command.node_id, "Failed", "main: Error (exit code 3)", {"exitCode": "3"}
        )

    drive(spec("{limit: 1}", '["{{retries}}", "{{lastRetry.exitCode}}"]'), pod)
    assert seen == [["0", "0"], ["1", "3"]]


def test_a_failed_attempt_closes_a_template_that_fails_fast() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  failFast: true
  parallelism: 2
  steps:
  - - {name: a, template: bad}
    - {name: b, template: slow}
    - {name: c, template: slow}
- name: bad
  retryStrategy: {limit: 1}
  container: {image: i, args: [fail]}
- name: slow
  container: {image: i}
""",
        lambda command: (
            (1.0, p.PodFinished(0, command.node_id, "Failed", "main: Error (exit code 3)"))
            if "bad" in command.pod_name
            else (5.0, p.PodFinished(0, command.node_id, "Succeeded"))
        ),
    )
    # as the real controller ended the same workflow
    assert phases(made) == {
        "wf": "Failed",
        "wf[0]": "Failed",
        "wf[0].a": "Running",
        "wf[0].a(0)": "Failed",
        "wf[0].b": "Succeeded",
    }
    assert made.message == "template has failed or errored children and failFast enabled"


def test_the_workflow_deadline_ends_a_backoff() -> None:
    made = drive(
        spec('{limit: 10, backoff: {duration: "30"}}').replace(
            "entrypoint", "activeDeadlineSeconds: 9\nentrypoint"
        )
    )
    assert phases(made) == {"wf": "Failed", "wf(0)": "Failed"}
    assert made.message == "retry exceeded workflow deadline 2001-09-09 01:46:49 +0000 UTC"
