"""When a job of the training operator has succeeded or failed, and what follows: for Argo's step that watches it.

Seen on training operator 1.9.4 with Argo 4.1.2. The pod that watches the job is evicted: it ends as Failed with
"context canceled" while the job trains on; ``apply`` in the next attempt adopts it. A worker pod is deleted (a drain, a
preemption): the job is Failed for good, so one fresh job under a new name goes on from the backup. A deleted job ("has
been deleted") is somebody's decision and fails the step at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.dsl.on_failure import Again, OnFailure
from tiphys.dsl.retry import Retry

if TYPE_CHECKING:
    from tiphys.dsl.scheduling import Scheduling
    from tiphys.jsontypes import JsonObject

__all__ = [
    "AGAIN",
    "API",
    "CLEAN_PODS",
    "FAILURE",
    "ONCE",
    "PYTORCHJOBS",
    "PYTORCH_PORT",
    "RESTART_POLICIES",
    "TFJOBS",
    "adopt",
    "adopted",
    "led",
    "pytorch_success",
    "replica",
    "run_policy",
    "success",
]

API = "kubeflow.org/v1"
PYTORCH_PORT = 23456  # where the master listens unless the container names another port
CLEAN_PODS = ("Running", "All", "None")
RESTART_POLICIES = ("ExitCode", "OnFailure", "Never", "Always")
TFJOBS = "tfjobs.kubeflow.org"
PYTORCHJOBS = "pytorchjobs.kubeflow.org"
FAILURE = [f"status.conditions.{i}.type == Failed" for i in (1, 2, 3)]
ONCE = OnFailure(preempted=Again(1))
_FRESH = "lastRetry.message contains 'failure condition'"
_ADOPTED = "lastRetry.status == 'Error' || lastRetry.message contains 'context canceled'"
AGAIN = "{{=" + _FRESH + " ? '-r' + retries : ''}}"
"""What ends the name of a job that may be followed by a fresh one."""
_LEAST = 2  # attempts after the first for whoever watches the job


def adopt(follows: OnFailure) -> Retry | None:
    """What follows when a job failed, or who watched it was lost: of why a job failed Argo is told nothing, so each
    failed job counts as a preempted one."""
    if follows.preempted is None:
        return None
    times = follows.preempted.times
    expression = f"{_ADOPTED} || ({_FRESH} && asInt(retries) < {times})"
    return Retry(limit=max(_LEAST, times), on="always", expression=expression)


def adopted() -> Retry:
    """What follows where a failed job is final: only who watched it is replaced."""
    return Retry(limit=_LEAST, on="always", expression=_ADOPTED)


def success(workers: int, policy: str, *, elastic: bool = False) -> list[str]:
    """When a TFJob has succeeded: all workers, or, with the operator's default policy, worker 0. One whose number of
    workers changes has an end then: that of a failure is among the failure conditions, which Argo looks at before."""
    if elastic:
        return ["status.completionTime"]
    if policy == "AllWorkers":
        return [f"status.replicaStatuses.Worker.succeeded == {workers}"]
    return ["status.replicaStatuses.Worker.succeeded > 0"]


def pytorch_success(*, elastic: bool = False) -> list[str]:
    """When a PyTorchJob has succeeded, as the operator judges it: its master has, or a worker of an elastic one."""
    if elastic:
        return ["status.replicaStatuses.Worker.succeeded > 0"]
    return ["status.replicaStatuses.Master.succeeded == 1"]


def run_policy(deadline: int, clean_pods: str, scheduling: Scheduling) -> JsonObject:
    """``deadline`` in seconds: restarts by exit code count no failures, so nothing else ends them."""
    return {"activeDeadlineSeconds": deadline, "cleanPodPolicy": clean_pods, **scheduling.policy()}


def led(workers: int, restart_policy: str, pod: JsonObject, master: JsonObject | None = None) -> JsonObject:
    """The replicas of a job whose first worker is its master, of a template of its own where there is one."""
    found: JsonObject = {"Master": replica(1, restart_policy, pod if master is None else master)}
    if workers > 1:
        found["Worker"] = replica(workers - 1, restart_policy, pod)
    return found


def replica(count: int, restart_policy: str, pod: JsonObject) -> JsonObject:
    """``count`` pods of a job with the same template."""
    return {"replicas": count, "restartPolicy": restart_policy, "template": pod}
