"""Distributed training as a step: a Kubeflow XGBoostJob, a master and N - 1 workers (XGBoost, LightGBM).

Facts this module keeps (training operator 1.9.4): the container is named ``xgboost``; each replica is told
``MASTER_ADDR``, ``MASTER_PORT``, ``RANK`` and ``WORLD_SIZE``, and where there are several ``WORKER_ADDRS`` and
``WORKER_PORT``; the job has succeeded when its master has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Unpack

from tiphys.argo.operated_kinds import OPERATED
from tiphys.dsl import operator
from tiphys.dsl.gang_job import GangJob, JobOptions
from tiphys.dsl.job_checks import one_of
from tiphys.dsl.scheduling import Scheduling
from tiphys.dsl.worker_command import called
from tiphys.dsl.workers import one_number

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject

__all__ = ["XGBoostJob"]

_PORT = 9999


class XGBoostJob(GangJob):
    """A training function on ``workers`` replicas, the first of which is the master; its other options are those of
    every :class:`GangJob`.

    The function is called in each of them, with its inputs. There is no stand-in for it on this machine (TIP230):
    ``with_fakes`` runs the rest of the pipeline there.

    Raises DefinitionError: TIP105, TIP109 for options out of range, TIP110 for a function that cannot be referenced.
    """

    job_kind = "XGBoostJob"
    container = OPERATED["XGBoostJob"].container

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        workers: int = 2,
        restart_policy: Literal["ExitCode", "OnFailure", "Never", "Always"] = "Never",
        clean_pods: Literal["Running", "All", "None"] = "Running",
        **options: Unpack[JobOptions],
    ) -> None:
        site, label = self.begin(function, options)
        one_of("restart_policy", restart_policy, operator.RESTART_POLICIES, label, site)
        one_of("clean_pods", clean_pods, operator.CLEAN_PODS, label, site)
        self.restart_policy, self.clean_pods = restart_policy, clean_pods
        super().__init__(
            function,
            one_number(workers, label, site),
            plural="xgboostjobs.kubeflow.org",
            success=operator.pytorch_success(),
            failure=operator.FAILURE,
            **options,
        )

    def command(self) -> list[str]:
        return called(self.module, self.function)

    def ports(self) -> list[JsonObject]:
        return [{"name": "xgboostjob-port", "containerPort": _PORT}]

    def job(
        self, metadata: JsonObject, pod: JsonObject, leader: JsonObject, scheduling: Scheduling
    ) -> JsonObject:
        spec: JsonObject = {
            "runPolicy": operator.run_policy(self.deadline, self.clean_pods, scheduling),
            "xgbReplicaSpecs": operator.led(self.workers, self.restart_policy, pod),
        }
        return {"apiVersion": operator.API, "kind": "XGBoostJob", "metadata": metadata, "spec": spec}
