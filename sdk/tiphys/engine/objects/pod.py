"""Pods and Jobs made by a resource template: one process, a status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from tiphys.argo.time import rfc3339
from tiphys.engine.objects.api import Api
from tiphys.engine.objects.replica import Replica
from tiphys.engine.pods.host import Host

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
        self._replica: Replica | None = None
        self._failures = 0
        self._deleted = False

    def start(self) -> None:
        """Run it."""
        if self._deleted:
            return
        spec: PodSpec = self._template.get("spec") or {}
        containers: list[ContainerSpec] = spec.get("containers") or [{}]
        restart = str(spec.get("restartPolicy") or "Always")
        name = str(self.item["metadata"]["name"])
        self._replica = Replica(
            self.host,
            f"{name}-{self._failures}" if self._job else name,
            self._template,
            main=str(containers[0].get("name")),
            restart=restart,
            ended=self._ended,
        )
        if self._job:
            self._write({"active": 1, "startTime": rfc3339(self.host.loop.now())})
        else:
            self._write({"phase": "Pending"})
        self._replica.start(self._started)

    def _started(self) -> None:
        if not self._job:
            self._write({"phase": "Running", "startTime": rfc3339(self.host.loop.now())})

    def delete(self) -> None:
        self._deleted = True
        if self._replica is not None:
            self._replica.stop()

    def kill(self) -> None:
        self._deleted = True
        if self._replica is not None:
            self._replica.kill()

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
