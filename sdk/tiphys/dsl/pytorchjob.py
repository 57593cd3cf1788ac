"""Distributed training as a step: a Kubeflow PyTorchJob, a master and N - 1 workers, or an elastic gang.

Facts this module keeps (training operator 1.9.4): the container is named ``pytorch``; a job with a master has succeeded
when its master has, one with an ``elasticPolicy`` when any worker has. A worker that is started anew alone finds nobody
who waits for it, so the default restart policy is ``Never``, and what follows is a fresh job; in an elastic gang, whose
workers look for each other again, it is ``ExitCode``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

from tiphys.argo.operated_kinds import OPERATED
from tiphys.compiler.line import Site
from tiphys.dsl import jobset, operator, trainjob
from tiphys.dsl.gang_job import GangJob, JobOptions
from tiphys.dsl.job_checks import one_of
from tiphys.dsl.names import check_name
from tiphys.dsl.resources import Resources
from tiphys.dsl.scheduling import Scheduling
from tiphys.dsl.worker_command import called, torchrun
from tiphys.dsl.workers import numbers, shown
from tiphys.errors import DefinitionError

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject

__all__ = ["PyTorchJob"]

KINDS = ("PyTorchJob", "JobSet", "TrainJob")
_WORDS = ("auto", "cpu", "gpu")  # that torchrun knows


class PyTorchJob(GangJob):
    """A training function on ``workers`` replicas; its other options are those of every :class:`GangJob`.

    The function is called in each worker, with its inputs, and finds the others by what ``torch.distributed`` looks for
    (``MASTER_ADDR``, ``MASTER_PORT``, ``RANK``, ``WORLD_SIZE``): ``init_process_group("gloo")`` is all it needs. The
    first worker is the master, whose end is the job's; ``master`` are its resources where they are others.

    ``nproc_per_node`` calls it in so many processes of each worker, by torchrun: a number, ``"gpu"`` (one for each) or
    ``"auto"``.

    ``workers=(least, most)`` is an elastic gang: torchrun forms it anew (c10d) when workers go or come, as long as
    there are ``least``, and starts the function anew at most ``max_restarts`` times for an error of its own. It has
    succeeded when one worker has, and the others are ended: the function returns after a barrier, when the model is
    there. It goes on from what it left in its ``work`` folder.

    ``kind`` is what it becomes: a PyTorchJob, a JobSet, or a TrainJob of Kubeflow Trainer 2, which takes its pods from
    the ClusterTrainingRuntime ``runtime``.

    Raises DefinitionError: TIP105, TIP109 for options out of range, TIP110 for a function that cannot be referenced.
    """

    job_kind = "PyTorchJob"
    container = OPERATED["PyTorchJob"].container

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        workers: int | tuple[int, int] = 2,
        nproc_per_node: int | Literal["auto", "cpu", "gpu"] | None = None,
        master: Resources | None = None,
        max_restarts: int | None = None,
        restart_policy: Literal["ExitCode", "OnFailure", "Never", "Always", ""] = "",
        clean_pods: Literal["Running", "All", "None"] = "Running",
        kind: Literal["PyTorchJob", "JobSet", "TrainJob"] = "PyTorchJob",
        runtime: str = "torch-distributed",
        **options: Unpack[JobOptions],
    ) -> None:
        site, label = self.begin(function, options)
        counts = _numbers(workers, label, site)
        self.least, self.processes, self.runtime = counts[0], nproc_per_node, runtime
        self.changes = len(counts) > 1
        one_of("kind", kind, KINDS, label, site)
        if restart_policy:
            one_of("restart_policy", restart_policy, operator.RESTART_POLICIES, label, site)
        one_of("clean_pods", clean_pods, operator.CLEAN_PODS, label, site)
        _check_processes(nproc_per_node, label, site)
        _check_restarts(max_restarts, self.changes, label, site)
        _check_kind(kind, self.changes, master, label, site)
        if kind == "JobSet":
            jobset.warn_of_dropped(label, site, restart_policy=restart_policy, clean_pods=clean_pods)
        elif kind == "TrainJob":
            check_name(runtime, "a training runtime", site)
            priority_class = s.priority_class if (s := options.get("scheduling")) else ""
            trainjob.warn_of_dropped(
                label,
                site,
                restart_policy=restart_policy,
                clean_pods=clean_pods,
                priority_class=priority_class,
            )
        self.master, self.max_restarts, self.clean_pods = master, max_restarts, clean_pods
        self.restart_policy = restart_policy or ("ExitCode" if self.changes else "Never")
        super().__init__(
            function,
            counts,
            kind=kind,
            plural={"JobSet": jobset.RESOURCE, "TrainJob": trainjob.RESOURCE}.get(kind, operator.PYTORCHJOBS),
            success={"JobSet": jobset.SUCCESS, "TrainJob": trainjob.SUCCESS}.get(
                kind, operator.pytorch_success(elastic=self.changes)
            ),
            failure={"JobSet": jobset.FAILURE, "TrainJob": trainjob.FAILURE}.get(kind, operator.FAILURE),
            **options,
        )

    def shape(self) -> str:
        return shown(self.counts) + (f"x{self.processes}" if self.processes is not None else "")

    def command(self) -> list[str]:
        own = called(self.module, self.function)
        by_torchrun = self.processes is not None or self.changes or self.kind == "TrainJob"
        return torchrun(own) if by_torchrun else own

    def ports(self) -> list[JsonObject]:
        return [{"name": "pytorchjob-port", "containerPort": operator.PYTORCH_PORT}]

    def further_env(self) -> Sequence[JsonObject]:
        if self.kind != "JobSet":
            return []
        processes = "" if self.processes is None else str(self.processes)
        return [*jobset.worker_names(), *jobset.torch_env(self.workers, operator.PYTORCH_PORT, processes)]

    def leads_with(self) -> Resources | None:
        return self.master

    def job(
        self, metadata: JsonObject, pod: JsonObject, leader: JsonObject, scheduling: Scheduling
    ) -> JsonObject:
        if self.kind == "JobSet":
            return jobset.job_set(
                metadata,
                cast("dict[str, JsonObject]", pod),
                workers=self.workers,
                restart_policy=self.restart_policy,
                success_policy="",  # as the master's
                deadline=self.deadline,
            )
        if self.kind == "TrainJob":
            return trainjob.train_job(
                metadata,
                pod,
                nodes=self.workers,
                processes=self._nproc(),
                runtime=self.runtime,
                deadline=self.deadline,
            )
        spec: JsonObject = {
            "runPolicy": operator.run_policy(self.deadline, self.clean_pods, scheduling),
            **({"nprocPerNode": str(self._nproc())} if self._nproc() is not None else {}),
            **({"elasticPolicy": self._policy()} if self.changes else {}),
            "pytorchReplicaSpecs": self._replicas(pod, leader),
        }
        return {"apiVersion": operator.API, "kind": "PyTorchJob", "metadata": metadata, "spec": spec}

    def _nproc(self) -> int | str | None:
        """Torchrun would start one for each core."""
        by_torchrun = self.changes or self.kind == "TrainJob"
        return 1 if by_torchrun and self.processes is None else self.processes

    def _policy(self) -> JsonObject:
        restarts = {} if self.max_restarts is None else {"maxRestarts": self.max_restarts}
        return {
            "minReplicas": self.least,
            "maxReplicas": self.workers,
            "rdzvBackend": "c10d",
            **restarts,
        }

    def _replicas(self, pod: JsonObject, leader: JsonObject) -> JsonObject:
        if self.changes:
            return {"Worker": operator.replica(self.workers, self.restart_policy, pod)}
        return operator.led(self.workers, self.restart_policy, pod, leader)


def _numbers(workers: object, label: str, site: Site) -> tuple[int, ...]:
    if isinstance(workers, list):
        raise DefinitionError(
            "TIP109",
            f"{label}: workers={workers!r}",
            where=str(site),
            cause="torchrun takes every number from the least to the most",
            fix="give one number, or (least, most)",
        )
    return numbers(workers, label, site)


def _check_processes(processes: object, label: str, site: Site) -> None:
    number = isinstance(processes, int) and not isinstance(processes, bool) and processes >= 1
    if processes is None or number or processes in _WORDS:
        return
    raise DefinitionError(
        "TIP109",
        f"{label}: nproc_per_node={processes!r}",
        where=str(site),
        cause="it counts the processes of each worker",
        fix=f"give a whole number of at least 1, or one of {', '.join(map(repr, _WORDS))}",
    )


def _check_restarts(restarts: object, elastic: bool, label: str, site: Site) -> None:
    if restarts is None:
        return
    number = isinstance(restarts, int) and not isinstance(restarts, bool) and restarts >= 0
    if number and elastic:
        return
    raise DefinitionError(
        "TIP109",
        f"{label}: max_restarts={restarts!r}",
        where=str(site),
        cause="" if elastic else "torchrun starts the function anew in an elastic gang alone",
        fix="give a whole number" if elastic else "leave it out, or give workers=(least, most)",
    )


def _check_kind(kind: str, elastic: bool, master: object, label: str, site: Site) -> None:
    problem, fix = "", ""
    if elastic and kind != "PyTorchJob":
        problem, fix = f"a {kind} has one number of workers", "leave kind out, or give one number of workers"
    elif master is not None and (elastic or kind != "PyTorchJob"):
        problem, fix = "all its workers are alike", "leave master out, and give resources"
    if problem:
        given = "master=…" if master is not None and "alike" in problem else "workers=(least, most)"
        raise DefinitionError("TIP109", f"{label}: {given}", where=str(site), cause=problem, fix=fix)
