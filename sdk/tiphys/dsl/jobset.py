"""The same training as a JobSet (jobset.x-k8s.io/v1alpha2; read in JobSet 0.11.1, Kubernetes 1.35): one Indexed Job.

Facts this module keeps: JobSet sets no ``TF_CONFIG``, so it is made of the pods' stable names, with the index of the
worker put in by the kubelet. The Job controller appends ``JOB_COMPLETION_INDEX`` to the variables of a container, and
``$(NAME)`` knows earlier ones only: it is declared before it is used. A Job starts a lost worker anew by itself, under
the same name, so the JobSet needs no restarts of the whole gang; exit codes are judged only with restart policy
``Never``. Without a failure policy a JobSet has failed when its Job has, and its pods that still run are deleted when
it ends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from tiphys.argo.operated_kinds import OPERATED
from tiphys.compiler.line import Site
from tiphys.dsl.job_checks import warn_dropped

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject

__all__ = [
    "CONTAINER",
    "FAILURE",
    "PORT",
    "RESOURCE",
    "SUCCESS",
    "host_name",
    "host_names",
    "job_set",
    "tf_config",
    "torch_env",
    "warn_of_dropped",
    "worker_names",
]

RESOURCE = "jobsets.jobset.x-k8s.io"
SUCCESS = ["status.terminalState == Completed"]
FAILURE = ["status.terminalState == Failed"]
CONTAINER = OPERATED["TFJob"].container  # the training operator looks for this name, and for this port
PORT = 2222
_JOB = "worker"
_NAME = "metadata.annotations['jobset.sigs.k8s.io/jobset-name']"
_INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
# The training operator counts no restarts of policy ExitCode, only the deadline ends them; a Job must have a limit,
# and its delays (10 s, doubled up to 6 min) make of this one more than a hundred hours.
_RESTARTS = 1000

# (parameter, value): what becomes of it
_DROPPED = {
    (
        "restart_policy",
        "Always",
    ): "a Job has no such policy: a worker that ends well is not started again (OnFailure)",
    ("clean_pods", "All"): "pods that have ended stay until the JobSet is deleted, with its workflow",
    ("clean_pods", "None"): "pods that still run when the JobSet ends are deleted",
}


def warn_of_dropped(label: str, site: Site, **given: str) -> None:
    """Warn (TIP129), at the user's line, of each parameter that a JobSet cannot say."""
    for each in given.items():
        if each in _DROPPED:
            warn_dropped(label, site, "JobSet", *each, _DROPPED[each])


def host_name(index: int | str) -> str:
    """The name of a worker's host, for the kubelet, which puts the JobSet's name in."""
    return f"$(JOBSET_NAME)-{_JOB}-0-{index}.$(JOBSET_NAME)"


def host_names(workers: int) -> list[str]:
    """Those of all of them."""
    return [host_name(index) for index in range(workers)]


def tf_config(workers: int) -> list[JsonObject]:
    """``TF_CONFIG`` with the training operator's keys, none for a single worker, as there."""
    if workers == 1:
        return []
    hosts = [f"{name}:{PORT}" for name in host_names(workers)]
    cluster = json.dumps({"worker": hosts}, separators=(",", ":"))
    task = '{"type":"worker","index":$(JOB_COMPLETION_INDEX)}'
    return [{"name": "TF_CONFIG", "value": f'{{"cluster":{cluster},"task":{task},"environment":"cloud"}}'}]


def torch_env(workers: int, port: int, processes: str = "") -> list[JsonObject]:
    """What ``torch.distributed`` and torchrun look for, with the training operator's names; ``processes``: of each
    worker, where there are several."""
    each = int(processes) if processes.isdecimal() else 1
    master = host_name(0)
    values = {
        "WORLD_SIZE": str(workers * each),
        "RANK": "$(JOB_COMPLETION_INDEX)",
        "MASTER_ADDR": master,
        "MASTER_PORT": str(port),
        "PET_NNODES": str(workers),
        "PET_NODE_RANK": "$(JOB_COMPLETION_INDEX)",
        "PET_MASTER_ADDR": master,
        "PET_MASTER_PORT": str(port),
        **({"PET_NPROC_PER_NODE": processes} if processes else {}),
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def worker_names() -> list[JsonObject]:
    """The name of the JobSet and the index of the worker, which stand before what is made of them."""
    return [
        {"name": "JOBSET_NAME", "valueFrom": {"fieldRef": {"fieldPath": _NAME}}},
        {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": _INDEX}}},
    ]


def job_set(
    metadata: JsonObject,
    pod: Mapping[str, JsonObject],
    *,
    workers: int,
    restart_policy: str,
    success_policy: str,
    deadline: int,
) -> JsonObject:
    """The manifest. ``pod``: the metadata and the spec of a worker's template, with one container; ``deadline`` in
    seconds."""
    container = str(cast("list[JsonObject]", pod["spec"]["containers"])[0]["name"])
    pods = "Never" if restart_policy in ("ExitCode", "Never") else "OnFailure"
    job: JsonObject = {
        "completionMode": "Indexed",
        "parallelism": workers,
        "completions": workers,
        "backoffLimit": 0 if restart_policy == "Never" else _RESTARTS,
        "activeDeadlineSeconds": deadline,
    }
    if restart_policy == "ExitCode":
        job["podFailurePolicy"] = _exit_codes(container)
    if not success_policy:
        job["successPolicy"] = {"rules": [{"succeededIndexes": "0"}]}
    job["template"] = {"metadata": pod["metadata"], "spec": {"restartPolicy": pods, **pod["spec"]}}
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": metadata,
        "spec": {
            "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
            "successPolicy": {"operator": "All"},
            "replicatedJobs": [{"name": _JOB, "replicas": 1, "template": {"spec": job}}],
        },
    }


def _exit_codes(container: str) -> JsonObject:
    """A pod that was taken away (a drain, a preemption) does not count, codes below 128 fail the Job at once; what is
    left is started anew."""
    taken: JsonObject = {"type": "DisruptionTarget", "status": "True"}
    codes: JsonObject = {
        "containerName": container,
        "operator": "In",
        "values": list(range(1, 128)),
    }
    return {
        "rules": [
            {"action": "Ignore", "onPodConditions": [taken]},
            {"action": "FailJob", "onExitCodes": codes},
        ]
    }
