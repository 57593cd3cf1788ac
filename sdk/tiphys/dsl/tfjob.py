"""Distributed training as a step: a Kubeflow TFJob of N workers with MultiWorkerMirroredStrategy.

Facts this module keeps (training operator 1.9.4, Argo 4.1.2): the container is named ``tensorflow``; the
default success policy ends when worker 0 ends, so ``AllWorkers``; with restart policy ``ExitCode`` exit codes
of 128 and more restart a worker and smaller ones fail the job, and ``replicaStatuses.Worker.failed`` counts
workers that are being restarted, so failure is read from the job's conditions, which are found by position;
``ExitCode`` restarts ignore ``backoffLimit``, so a deadline ends them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

from tiphys.dsl import jobset, operator
from tiphys.dsl.gang_job import GangJob, JobOptions
from tiphys.dsl.job_checks import one_of
from tiphys.dsl.scheduling import Scheduling
from tiphys.dsl.workers import check_elastic, numbers

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject

__all__ = ["TFJob"]

SUCCESS_POLICIES = ("AllWorkers", "")
KINDS = ("TFJob", "JobSet")


class TFJob(GangJob):
    """A training function on ``workers`` replicas; its other options are those of every :class:`GangJob`.

    ``(least, most)``, or all the numbers that there may be, ``[1, 2, 4]``: the engine of this machine starts it with
    what its ``gang``'s pool has, and goes on with another number from one of its backups on, which are in the folder
    ``backup``. On a cluster it has the most.

    Each worker runs ``python -m MODULE``, the function's module, with ``TF_CONFIG`` from the operator.

    ``kind`` is what it becomes: a TFJob, or a JobSet where the cluster has no training operator. What a JobSet cannot
    say is a warning (TIP129); docs/cluster.md has both side by side.

    Its ``retry`` leaves to the operator what is the operator's: a worker that needs more memory, and every exit code of
    128 and more, is started again inside the job.

    Raises DefinitionError: TIP109 for numbers out of range, TIP110 for a function that cannot be referenced.
    """

    job_kind = "TFJob"
    container = jobset.CONTAINER

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        workers: int | tuple[int, int] | list[int] = 2,
        restart_policy: Literal["ExitCode", "OnFailure", "Never", "Always"] = "ExitCode",
        success_policy: Literal["AllWorkers", ""] = "AllWorkers",
        clean_pods: Literal["Running", "All", "None"] = "Running",
        kind: Literal["TFJob", "JobSet"] = "TFJob",
        **options: Unpack[JobOptions],
    ) -> None:
        site, label = self.begin(function, options)
        counts = numbers(workers, label, site)
        elastic = len(counts) > 1
        if elastic:
            gang, prepare = options.get("gang"), options.get("prepare")
            check_elastic(gang, options.get("locks", ()), success_policy, kind, prepare, label, site)
        one_of("restart_policy", restart_policy, operator.RESTART_POLICIES, label, site)
        one_of("success_policy", success_policy, SUCCESS_POLICIES, label, site)
        one_of("kind", kind, KINDS, label, site)
        if as_set := kind == "JobSet":
            jobset.warn_of_dropped(label, site, restart_policy=restart_policy, clean_pods=clean_pods)
        self.restart_policy, self.success_policy, self.clean_pods = restart_policy, success_policy, clean_pods
        super().__init__(
            function,
            counts,
            kind=kind,
            plural=jobset.RESOURCE if as_set else operator.TFJOBS,
            success=jobset.SUCCESS
            if as_set
            else operator.success(counts[-1], success_policy, elastic=elastic),
            failure=jobset.FAILURE if as_set else operator.FAILURE,
            elastic=elastic,
            **options,
        )

    def command(self) -> list[str]:
        return ["python", "-m", self.module]

    def ports(self) -> list[JsonObject]:
        return [{"name": "tfjob-port", "containerPort": jobset.PORT}]

    def further_env(self) -> Sequence[JsonObject]:
        config = jobset.tf_config(self.workers) if self.kind == "JobSet" else []
        return [*jobset.worker_names(), *config] if config else []

    def job(
        self, metadata: JsonObject, pod: JsonObject, leader: JsonObject, scheduling: Scheduling
    ) -> JsonObject:
        if self.kind == "JobSet":
            return jobset.job_set(
                metadata,
                cast("dict[str, JsonObject]", pod),
                workers=self.workers,
                restart_policy=self.restart_policy,
                success_policy=self.success_policy,
                deadline=self.deadline,
            )
        worker = operator.replica(self.workers, self.restart_policy, pod)
        spec: JsonObject = {
            "runPolicy": operator.run_policy(self.deadline, self.clean_pods, scheduling),
            **({"successPolicy": self.success_policy} if self.success_policy else {}),
            "tfReplicaSpecs": {"Worker": worker},
        }
        return {"apiVersion": operator.API, "kind": "TFJob", "metadata": metadata, "spec": spec}
