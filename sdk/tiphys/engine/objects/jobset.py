"""The stand-in for a JobSet (jobset.x-k8s.io/v1alpha2, JobSet 0.11.1) of one Indexed Job: one process a pod.

Conditions and states are those of pkg/controllers of JobSet, restarts those of the Job controller of Kubernetes; what
is refused is in ``jobset_rules.py``. Addresses of its pods in their variables become those of this machine.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from tiphys.argo.time import rfc3339
from tiphys.engine.objects.api import Api
from tiphys.engine.objects.gang import GangController
from tiphys.engine.pods.host import Host
from tiphys.gang.jobset_rules import has_succeeded, job_of, pod_failure, subdomain

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import (
        JobSetManifest,
        JobSetStatus,
        PodTemplate,
        ReplicatedJobStatus,
        StatusCondition,
    )
    from tiphys.argo.pod_types import FieldRef
    from tiphys.engine.objects.gang import Key

__all__ = ["JobSetController"]

_INDEX = "batch.kubernetes.io/job-completion-index"
_ENDS = {
    "Completed": ("AllJobsCompleted", "jobset completed successfully"),
    "Failed": ("FailedJobs", "jobset failed due to one or more job failures (first failed job: {job})"),
}


class JobSetController(GangController):
    """The controller of one JobSet object."""

    kind = "JobSet"

    def __init__(self, host: Host, api: Api, item: JobSetManifest, changed: Callable[[], None]) -> None:
        self.item = item
        replicated = job_of(item)
        self._replicated = replicated
        self._spec = replicated["template"]["spec"]
        self._job = f"{item['metadata']['name']}-{replicated['name']}-0"
        self._status: JobSetStatus = {"restarts": 0}
        keys = [(f"{replicated['name']}-0", index) for index in range(int(self._spec["completions"]))]
        super().__init__(host, api, item["metadata"], changed, keys)

    def _accept(self) -> bool:
        return True

    def _load(self) -> str:
        status: JobSetStatus = copy.deepcopy(self.item.get("status") or {})
        self._status.update(status)
        return {"Completed": "Succeeded"}.get(state := self._status.get("terminalState", ""), state)

    # -- pods -------------------------------------------------------------------------------------------------

    def _template(self, key: Key) -> PodTemplate:
        return self._spec["template"]

    def _main(self, key: Key) -> str:
        return str(self._spec["template"]["spec"]["containers"][0].get("name"))

    def _pod_policy(self, key: Key) -> str:
        return str(self._spec["template"]["spec"].get("restartPolicy") or "OnFailure")

    def _dressed(self, key: Key) -> PodTemplate:
        """With the marks that JobSet's and Kubernetes' controllers give a pod, and the Job controller's variable."""
        template = copy.deepcopy(self._spec["template"])
        group = str(self._replicated.get("groupName") or "default")
        marks = {
            "jobset-name": self._name,
            "jobset-uid": self._uid,
            "replicatedjob-name": str(self._replicated["name"]),
            "restart-attempt": "0",
            "replicatedjob-replicas": "1",
            "global-replicas": "1",
            "job-index": "0",
            "job-key": hashlib.sha1(f"{self.host.namespace}/{self._job}".encode()).hexdigest(),
            "job-global-index": "0",
            "group-name": group,
            "group-replicas": "1",
            "job-group-index": "0",
        }
        both = {**{f"jobset.sigs.k8s.io/{name}": value for name, value in marks.items()}, _INDEX: str(key[1])}
        metadata = template.setdefault("metadata", {})
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **both}
        job = {"batch.kubernetes.io/job-name": self._job, "job-name": self._job}
        metadata["labels"] = {**(metadata.get("labels") or {}), **both, **job}
        for container in template["spec"]["containers"]:
            env = container.setdefault("env", [])
            if not any(each.get("name") == "JOB_COMPLETION_INDEX" for each in env):
                field: FieldRef = {"fieldPath": f"metadata.annotations['{_INDEX}']"}
                env.append({"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": field}})
        return template

    def _addresses(self) -> Mapping[str, str]:
        """The first port of each pod."""
        declared = self._spec["template"]["spec"]["containers"][0].get("ports") or []
        if not declared:
            return {}
        port, domain = declared[0]["containerPort"], subdomain(self.item)
        return {
            f"{self._pod(key)}.{domain}:{port}": f"localhost:{here}"
            for key, here in zip(self._keys, self.ports, strict=True)
        }

    # -- failures ---------------------------------------------------------------------------------------------

    def _starts_again(self, key: Key, code: int) -> bool:
        if self._pod_policy(key) != "Never":
            return False  # the pod itself starts its container again
        action = pod_failure(self._spec, code)
        return action == "Ignore" or (action == "Count" and self._failures() < self._backoff)

    @property
    def _backoff(self) -> int:
        limit = self._spec.get("backoffLimit")
        return 6 if limit is None else int(limit)

    def _failures(self) -> int:
        return sum(self._restarts.values())

    def _restarted(self) -> None:
        if not self._done and self._failures() >= max(1, self._backoff):
            self._finish("Failed")

    def _limit(self) -> float | None:
        limit = self._spec.get("activeDeadlineSeconds")
        return None if limit is None else float(limit)

    def _past_deadline(self) -> None:
        if not self._done:
            self._finish("Failed")

    def _cleans(self) -> bool:
        return True

    # -- status -----------------------------------------------------------------------------------------------

    def _sync(self) -> None:
        if self._done:
            return
        well = {key[1] for key, phase in self._phase.items() if phase == "Succeeded"}
        if has_succeeded(self._spec, well):
            self._finish("Completed")
        elif any(phase == "Failed" and key not in self._due for key, phase in self._phase.items()):
            self._finish("Failed")
        else:
            running = sum(phase == "Running" for phase in self._phase.values())
            self._write(ready=int(len(well) + running >= len(self._keys)), active=int(running > 0))

    def _finish(self, state: str) -> None:
        reason, message = _ENDS[state]
        now = rfc3339(self.host.loop.now())
        said: StatusCondition = {
            "type": state,
            "status": "True",
            "reason": reason,
            "message": message.format(job=self._job),
            "lastTransitionTime": now,
        }
        self._status["conditions"] = [said]
        self._status["terminalState"] = state
        self._write(**{"succeeded" if state == "Completed" else "failed": 1})
        self._finished(everything=True)

    def _write(self, **counts: int) -> None:
        job: ReplicatedJobStatus = {"name": self._replicated["name"], "ready": 0, "succeeded": 0, "failed": 0,
                                    "active": 0, "suspended": 0}  # fmt: skip
        self._status["replicatedJobsStatus"] = [cast("ReplicatedJobStatus", {**job, **counts})]
        self.api.status(self.item, self._status)
        self._changed()
