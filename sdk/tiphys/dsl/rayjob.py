"""Distributed training as a step: a RayJob (ray.io/v1), a function on the head of a Ray cluster of its own.

Facts this module keeps (KubeRay 1.4.2): the operator writes the commands of head and workers, so the containers have
none; the entrypoint has the environment of the head; a job that was stopped counts as ``Complete``, so what it came to
is read from ``jobStatus``, and ``jobDeploymentStatus`` tells of one that never ran.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

from tiphys.dsl.gang_job import GangJob, JobOptions
from tiphys.dsl.resources import Resources
from tiphys.dsl.scheduling import Scheduling
from tiphys.dsl.worker_command import called
from tiphys.dsl.workers import one_number

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject

__all__ = ["RayJob"]

_SUCCESS = ["status.jobStatus == SUCCEEDED"]
_FAILURE = [
    "status.jobStatus in (FAILED, STOPPED)",
    "status.jobDeploymentStatus in (Failed, ValidationFailed)",
]


class RayJob(GangJob):
    """A function on the head of a Ray cluster with ``workers`` more nodes, which is made for it and goes when it has
    ended; its other options are those of every :class:`GangJob`. ``head`` are the resources of the head where they are
    others.

    The function is called once, with its inputs, and ``ray.init()`` finds the cluster. There is no stand-in for it on
    this machine (TIP230): ``with_fakes`` runs the rest of the pipeline there.

    Raises DefinitionError: TIP109 for numbers out of range, TIP110 for a function that cannot be referenced.
    """

    job_kind = "RayJob"
    container = "ray"

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        workers: int = 2,
        head: Resources | None = None,
        **options: Unpack[JobOptions],
    ) -> None:
        site, label = self.begin(function, options)
        self.head = head
        super().__init__(
            function,
            one_number(workers, label, site),
            plural="rayjobs.ray.io",
            success=_SUCCESS,
            failure=_FAILURE,
            **options,
        )

    def command(self) -> list[str]:
        return []

    def leads_with(self) -> Resources | None:
        return self.head

    def job(
        self, metadata: JsonObject, pod: JsonObject, leader: JsonObject, scheduling: Scheduling
    ) -> JsonObject:
        group: JsonObject = {
            "groupName": "workers",
            "replicas": self.workers,
            "minReplicas": self.workers,
            "maxReplicas": self.workers,
            "rayStartParams": {},
            "template": pod,
        }
        cluster: JsonObject = {
            "headGroupSpec": {"rayStartParams": {}, "template": leader},
            "workerGroupSpecs": [group],
        }
        spec: JsonObject = {
            "entrypoint": shlex.join(called(self.module, self.function)),
            "shutdownAfterJobFinishes": True,
            "activeDeadlineSeconds": self.deadline,
            "rayClusterSpec": cluster,
        }
        return {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": metadata, "spec": spec}
