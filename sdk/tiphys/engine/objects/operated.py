"""What the jobs of the training operator (1.9.4) have in common here: conditions, restarts, ends, deadlines.

They follow pkg/controller.v1/common. What makes a job of a kind Succeeded is its own (``tfjob.py``, ``pytorchjob.py``).
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from tiphys.argo.time import rfc3339
from tiphys.engine.objects.api import Api
from tiphys.engine.objects.gang import GangController
from tiphys.engine.objects.tfjob_status import end_of_job, replica_status, set_condition
from tiphys.engine.pods.host import Host
from tiphys.gang.tf_config import replica_counts

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import KubeObject, PodTemplate, RunPolicy, TFJobStatus, TFReplica
    from tiphys.engine.objects.gang import Key

__all__ = ["OperatedController"]


class OperatedController(GangController):
    """The controller of one object that the training operator looks after.

    ``container``: the one that counts; ``types``: of its replicas, in the order in which they are judged;
    ``restart_policy``: of replicas that say none.
    """

    container: ClassVar[str]
    types: ClassVar[Sequence[str]]
    restart_policy: ClassVar[str] = "Never"

    def __init__(self, host: Host, api: Api, item: KubeObject, changed: Callable[[], None]) -> None:
        self._object = item
        self._status: TFJobStatus = {"conditions": [], "replicaStatuses": {}}
        self._policy_of_run: RunPolicy = {}
        self._specs: Mapping[str, TFReplica] = {}
        super().__init__(host, api, item["metadata"], changed, self._read_spec())
        self.paused = False  # none of its workers runs, and none begins until it is told

    @abstractmethod
    def _take_spec(self) -> None:
        """Read ``_policy_of_run`` and ``_specs`` from the object."""

    @abstractmethod
    def _judge(self, kind: str, count: Mapping[str, int], lead: str | None) -> None:
        """What the state of the replicas of a type makes of the job. ``lead``: the type that stands for it."""

    def _read_spec(self) -> list[Key]:
        self._take_spec()
        self._counts = replica_counts(self._specs)
        return [(kind, index) for kind in sorted(self._counts) for index in range(self._counts[kind])]

    def _accept(self) -> bool:
        self._condition("Created", f"{self.kind}Created", f"{self.kind} {self._name} is created.")
        if self._policy_of_run.get("suspend"):
            self.paused = True
            self._condition("Suspended", f"{self.kind}Suspended", f"{self.kind} {self._name} is suspended.")
            self._write()
            return False
        self._status.setdefault("startTime", rfc3339(self.host.loop.now()))
        return True

    def _load(self) -> str:
        status: TFJobStatus = copy.deepcopy(cast("TFJobStatus", self._object.get("status") or {}))
        self._status.update(status)
        return end_of_job(self._status)

    def _rests(self) -> bool:
        self.paused = bool(self._policy_of_run.get("suspend"))
        return self.paused

    def _started(self) -> str:
        return str(self._status["startTime"])

    # -- replicas ---------------------------------------------------------------------------------------------------

    def _main(self, key: Key) -> str:
        return self.container

    def _policy(self, key: Key) -> str:
        return str(self._specs[key[0]].get("restartPolicy") or self.restart_policy)

    def _pod_policy(self, key: Key) -> str:
        """What the pods are given: for ``ExitCode`` it is the operator who decides."""
        policy = self._policy(key)
        return "Never" if policy == "ExitCode" else policy

    def _starts_again(self, key: Key, code: int) -> bool:
        policy = self._policy(key)
        return policy in ("OnFailure", "Always") or (policy == "ExitCode" and code >= 128)

    def _template(self, key: Key) -> PodTemplate:
        return self._specs[key[0]]["template"]

    def _dressed(self, key: Key) -> PodTemplate:
        kind, index = key
        template = copy.deepcopy(self._template(key))
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels.update(
            {
                "training.kubeflow.org/job-name": self._name,
                "training.kubeflow.org/operator-name": f"{self.kind.lower()}-controller",
                "training.kubeflow.org/replica-index": str(index),
                "training.kubeflow.org/replica-type": kind.lower(),
            }
        )
        return template

    # -- status -----------------------------------------------------------------------------------------------------

    def _sync(self) -> None:
        if self._done:
            return
        counts = {kind: {"active": 0, "succeeded": 0, "failed": 0} for kind in self._counts}
        for key, phase in self._phase.items():
            counts[key[0]][{"Running": "active", "Succeeded": "succeeded"}.get(phase, "failed")] += 1
        self._status["replicaStatuses"] = {kind: replica_status(counts[kind]) for kind in sorted(counts)}
        if self._failed_now:
            kind = next(iter(self._failed_now))[0]
            self._condition(
                "Restarting",
                f"{self.kind}Restarting",
                f"{self.kind} {self._name} is restarting because {kind} replica(s) failed.",
            )
        lead = next((kind for kind in ("Chief", "Master") if kind in self._counts), None)
        for kind in self.types:
            if kind in self._counts and not self._done:
                self._judge(kind, counts[kind], lead)
        self._write()

    def _restarted(self) -> None:
        limit = self._policy_of_run.get("backoffLimit")
        if limit is None or self._done:
            return
        total = sum(
            count for key, count in self._restarts.items() if self._policy(key) in ("OnFailure", "Always")
        )
        if total >= max(1, int(limit)):
            self._finish(
                "Failed", f"Job {self._name} has failed because it has reached the specified backoff limit"
            )
            self._write()

    def _limit(self) -> float | None:
        limit = self._policy_of_run.get("activeDeadlineSeconds")
        return None if limit is None else float(limit)

    def _past_deadline(self) -> None:
        if not self._done:
            self._finish(
                "Failed", f"Job {self._name} has failed because it was active longer than specified deadline"
            )
            self._write()

    def _finish(self, kind: str, message: str) -> None:
        self._condition(kind, f"{self.kind}{kind}", message)
        self._status["completionTime"] = rfc3339(self.host.loop.now())
        if kind == "Succeeded":
            for status in self._status["replicaStatuses"].values():
                if active := status.pop("active", 0):
                    status["succeeded"] = status.get("succeeded", 0) + active
        # on a cluster the pods of a failed job go on as cleanPodPolicy says; here they would only slow the next
        # gang down, which shares the machine
        self._finished(everything=kind == "Failed")

    def _cleans(self) -> bool:
        return self._policy_of_run.get("cleanPodPolicy") in ("Running", "All")

    def _condition(self, kind: str, reason: str, message: str) -> None:
        set_condition(self._status, kind, reason, message, rfc3339(self.host.loop.now()))

    def _write(self) -> None:
        self.api.status(self._object, self._status)
        self._changed()
