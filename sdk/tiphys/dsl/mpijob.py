"""Distributed training as a step: a Kubeflow MPIJob (kubeflow.org/v1), a launcher that runs mpirun over N workers.

Facts this module keeps (training operator 1.9.4): workers sleep, and the launcher starts the processes in them through
the Kubernetes API, with an account that the operator makes: so its pod, alone of all, has a token. The job has
succeeded when its launcher has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

from tiphys.dsl import operator
from tiphys.dsl.gang_job import GangJob, JobOptions
from tiphys.dsl.job_checks import one_of
from tiphys.dsl.resources import Resources
from tiphys.dsl.scheduling import Scheduling
from tiphys.dsl.worker_command import called
from tiphys.dsl.workers import one_number
from tiphys.errors import DefinitionError

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["MPIJob"]


class MPIJob(GangJob):
    """A training function in ``slots`` processes of each of ``workers``, by ``mpirun`` (Horovod, mpi4py); its other
    options are those of every :class:`GangJob`. ``launcher`` are the resources of who starts them.

    The function is called in each process, with its inputs. There is no stand-in for it on this machine (TIP230):
    ``with_fakes`` runs the rest of the pipeline there.

    Raises DefinitionError: TIP105, TIP109 for options out of range, TIP110 for a function that cannot be referenced.
    """

    job_kind = "MPIJob"
    container = "mpi"

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        workers: int = 2,
        slots: int = 1,
        launcher: Resources | None = None,
        clean_pods: Literal["Running", "All", "None"] = "Running",
        **options: Unpack[JobOptions],
    ) -> None:
        site, label = self.begin(function, options)
        counts = one_number(workers, label, site)
        if isinstance(slots, bool) or not isinstance(slots, int) or slots < 1:
            raise DefinitionError(
                "TIP109",
                f"{label}: slots={slots!r}",
                where=str(site),
                cause="it counts the processes of each worker",
                fix="give a whole number of at least 1",
            )
        one_of("clean_pods", clean_pods, operator.CLEAN_PODS, label, site)
        self.slots, self.clean_pods = slots, clean_pods
        self.launcher = launcher or Resources(cpu="100m", memory="256Mi")
        super().__init__(
            function,
            counts,
            plural="mpijobs.kubeflow.org",
            success=["status.replicaStatuses.Launcher.succeeded == 1"],
            failure=operator.FAILURE,
            **options,
        )

    def shape(self) -> str:
        return f"{self.workers}x{self.slots}"

    def command(self) -> list[str]:
        return ["mpirun", "-np", str(self.workers * self.slots), *called(self.module, self.function)]

    def leads_with(self) -> Resources:
        return self.launcher

    def job(
        self, metadata: JsonObject, pod: JsonObject, leader: JsonObject, scheduling: Scheduling
    ) -> JsonObject:
        of_leader = {**cast("JsonObject", leader["spec"]), "automountServiceAccountToken": True}
        launcher: JsonObject = {**leader, "spec": of_leader}
        inner = cast("JsonObject", pod["spec"])
        containers = cast("list[JsonObject]", inner["containers"])
        sleeping: list[Json] = [
            {key: value for key, value in each.items() if key != "command" or each["name"] != self.container}
            for each in containers
        ]
        worker: JsonObject = {**pod, "spec": {**inner, "containers": sleeping}}
        spec: JsonObject = {
            "runPolicy": operator.run_policy(self.deadline, self.clean_pods, scheduling),
            "slotsPerWorker": self.slots,
            "mainContainer": self.container,
            "mpiReplicaSpecs": {
                "Launcher": operator.replica(1, "Never", launcher),
                "Worker": operator.replica(self.workers, "Never", worker),
            },
        }
        return {"apiVersion": operator.API, "kind": "MPIJob", "metadata": metadata, "spec": spec}
