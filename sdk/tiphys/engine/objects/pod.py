"""Pods and Jobs made by a resource template: one process, a status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from tiphys.argo.time import rfc3339
from tiphys.engine.objects.api import Api
from tiphys.engine.objects.replica import Replica, end_of, pod_record
from tiphys.engine.pods.host import Host
from tiphys.engine.runners.left import LeftPod

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import JobManifest, KubeObject, PodSpec, PodTemplate
    from tiphys.argo.pod_types import ContainerSpec

__all__ = ["PodObject"]


class PodObject:
    """The controller of one Pod or (with one pod at a time) Job object."""

    def __init__(self, host: Host, api: Api, item: KubeObject, changed: Callable[[], None]) -> None:
        self.host = host
        self.api = api
        self.item = item
        self._changed = changed
        self._job = cast("JobManifest", item) if item["kind"] == "Job" else None
        self._template = self._job["spec"]["template"] if self._job else cast("PodTemplate", item)
        spec: PodSpec = self._template.get("spec") or {}
        containers: list[ContainerSpec] = spec.get("containers") or [{}]
        self._main = str(containers[0].get("name"))
        self._restart = str(spec.get("restartPolicy") or "Always")
        self._uid = str(item["metadata"]["uid"])
        self._replica: Replica | None = None
        self._failures = 0
        self._deleted = False

    def start(self) -> None:
        """Run it."""
        if self._deleted:
            return
        # failures and the first start of a Job stay
        before = {"startTime": rfc3339(self.host.loop.now()), **(self.item.get("status") or {})}
        self._write({**before, "active": 1} if self._job else {"phase": "Pending"})
        self._run(None)

    def _started(self) -> None:
        if not self._job:
            now = rfc3339(self.host.loop.now())
            self._write({"startTime": now, **(self.item.get("status") or {}), "phase": "Running"})

    def go_on(self) -> bool:
        """Go on where a killed engine was; False: what it ran is lost."""
        status = self.item.get("status") or {}
        if status.get("phase") in ("Succeeded", "Failed") or status.get("conditions"):
            return True
        pods = self.host.left.of(self._uid) if self.host.left is not None else {}
        if self._job:  # each of its failures has made a pod
            self._failures = max((int(name.rpartition("-")[2]) for name in pods), default=0)
        if (pod := pods.get(self._pod)) is None:
            return False
        code = end_of(pod, self._template.get("spec") or {}, main=self._main, restart=self._restart)
        if code is not None:
            self._ended(code)
        elif (left := self.host.left_pod(pod_record(self._uid, self._pod))) is not None:
            self._run(left)
        return code is not None or left is not None

    def delete(self) -> None:
        self._deleted = True
        if self._replica is not None:
            self._replica.stop()

    @property
    def _pod(self) -> str:
        """The name of the pod that runs, or is about to."""
        name = str(self.item["metadata"]["name"])
        return f"{name}-{self._failures}" if self._job else name

    def _run(self, left: LeftPod | None) -> None:
        self._replica = Replica(
            self.host,
            self._pod,
            self._template,
            main=self._main,
            restart=self._restart,
            ended=self._ended,
            owner=self._uid,
            left=left,
        )
        self._replica.start(self._started)

    def _ended(self, code: int) -> None:
        if self._deleted:
            return
        if not self._job:
            self._write({**self.item.get("status", {}), "phase": "Failed" if code else "Succeeded"})
            return
        status = dict(self.item.get("status") or {})
        status.pop("active", None)
        if code == 0:
            done = {"succeeded": 1, "completionTime": rfc3339(self.host.loop.now())}
            self._write({**status, **done, "conditions": [{"type": "Complete", "status": "True"}]})
            return
        self._failures += 1
        limit = self._job["spec"].get("backoffLimit")
        status["failed"] = self._failures
        if self._failures > (6 if limit is None else int(limit)):
            reason = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
            self._write({**status, "conditions": [reason]})
            return
        self._write(status)
        self.host.loop.call_later(min(0.2 * 2.0**self._failures, 10.0), self.start)

    def _write(self, status: Mapping[str, object]) -> None:
        self.api.status(self.item, status)
        self._changed()
