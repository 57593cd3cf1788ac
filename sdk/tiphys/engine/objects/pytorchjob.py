"""The stand-in for the training operator's PyTorchJob (kubeflow.org/v1, operator 1.9.4): one process a replica.

Its ends follow ``UpdateJobStatus`` of pkg/controller.v1/pytorch. Every job has a port of its own for its master, where
a cluster has 23456 at the master's address: here all jobs are at one address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from tiphys.engine.objects.api import Api
from tiphys.engine.objects.operated import OperatedController
from tiphys.engine.pods.host import Host
from tiphys.gang.pytorchjob_rules import CONTAINER, TYPES, PyTorchJobManifest, PyTorchJobSpec, worker_env

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import KubeObject
    from tiphys.engine.objects.gang import Key

__all__ = ["PyTorchJobController"]


class PyTorchJobController(OperatedController):
    """The controller of one PyTorchJob object."""

    kind = "PyTorchJob"
    container = CONTAINER
    types = TYPES
    restart_policy = "OnFailure"

    def __init__(self, host: Host, api: Api, item: PyTorchJobManifest, changed: Callable[[], None]) -> None:
        self.item = item
        super().__init__(host, api, cast("KubeObject", item), changed)

    def _take_spec(self) -> None:
        self._spec: PyTorchJobSpec = self.item["spec"]
        self._policy_of_run = self._spec.get("runPolicy") or {}
        self._specs = self._spec.get("pytorchReplicaSpecs") or {}

    def _env(self, key: Key) -> Mapping[str, str]:
        return worker_env(self._spec, self._counts, *key, port=self.ports[0])

    def _judge(self, kind: str, count: Mapping[str, int], lead: str | None) -> None:
        expected = self._counts[kind] - count["succeeded"]
        if kind == (lead or "Worker"):
            called = self._name if lead else f"{self.host.namespace}/{self._name}"
            any_will_do = not lead and self._spec.get("elasticPolicy") is not None
            if expected == 0 or (any_will_do and count["succeeded"]):
                word = "is successfully completed" if lead else "successfully completed"
                self._finish("Succeeded", f"PyTorchJob {called} {word}.")
                return
            if count["active"] and not self._failed_now:
                self._condition("Running", "PyTorchJobRunning", f"PyTorchJob {called} is running.")
        failed = count["failed"]
        if not failed or expected <= count["active"]:
            return
        again = {each for each in self._failed_now | self._due if each[0] == kind}
        if len(again) == failed:  # the operator has taken these pods away, and makes others
            return
        policy = self._policy((kind, 0))
        if policy == "ExitCode":
            message = f'job "{self._name}" is failing because "{kind}" replica(s) failed.'
        else:
            message = f"PyTorchJob {self._name} is failed because {failed} {kind} replica(s) failed."
        self._finish("Failed", message)
