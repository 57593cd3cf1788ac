"""The stand-in for the training operator's TFJob (kubeflow.org/v1, operator 1.9.4): one process a worker.

Conditions, replica statuses and the rules for restarts and success follow pkg/controller.v1/common and
pkg/controller.v1/tensorflow; ``TF_CONFIG`` is in ``tf_config.py``, what the webhook refuses in ``tfjob_rules.py``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from tiphys.argo.time import rfc3339
from tiphys.engine.base.loop import Timer
from tiphys.engine.objects.api import Api
from tiphys.engine.objects.backup import ask_to_end, take_back
from tiphys.engine.objects.operated import OperatedController
from tiphys.engine.pods.host import Host
from tiphys.gang.tf_config import free_ports, tf_config
from tiphys.gang.tfjob_rules import TYPES

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import (
        KubeObject,
        TFJobManifest,
        TFJobSpec,
    )
    from tiphys.engine.objects.gang import Key


__all__ = ["TFJobController"]


class TFJobController(OperatedController):
    """The controller of one TFJob object."""

    kind = "TFJob"
    container = "tensorflow"
    types = TYPES

    def __init__(self, host: Host, api: Api, item: TFJobManifest, changed: Callable[[], None]) -> None:
        self.item = item
        super().__init__(host, api, cast("KubeObject", item), changed)
        self._pausing = False  # the chief is to end after its next backup
        self._ending = False  # and so are the others, at once
        self._patience: Timer | None = None

    def _take_spec(self) -> None:
        self._spec: TFJobSpec = self.item["spec"]
        self._policy_of_run = self._spec.get("runPolicy") or {}
        self._specs = self._spec.get("tfReplicaSpecs") or {}

    def delete(self) -> None:
        self._wait_no_longer(None)
        super().delete()

    # -- another number of workers ------------------------------------------------------------------------------

    @property
    def workers(self) -> int:
        """How many there are, or were before it paused."""
        return self._counts.get("Worker", 0)

    @property
    def over(self) -> bool:
        """Whether the job has ended."""
        return self._done

    def pause(self, within: float | None) -> None:
        """End all workers when the chief has written its next backup, or after so many seconds: then it is ``paused``.

        To ask again changes nothing but the limit.
        """
        if self._done or self.paused or self._ending:
            return
        if not self._pausing:
            self._pausing = True
            ask_to_end(self.host, self.item)
        if within is None:
            self._wait_no_longer(None)
        elif self._patience is None:
            self._wait_no_longer(self.host.loop.call_later(within, self._end_all))
        if within == 0 or not any(self._replicas.values()):
            self._end_all()

    def unpause(self) -> None:
        """What was asked by :meth:`pause` is not wanted any more, if it has not begun."""
        if self._pausing and not self._ending:
            self._pausing = False
            self._wait_no_longer(None)
            take_back(self.host, self.item)

    def scale(self, workers: int) -> None:
        """Of a job that is paused: it has so many workers from now on; 0: it is suspended."""
        spec = copy.deepcopy(self._spec)
        policy = spec.setdefault("runPolicy", {})
        if workers:
            spec["tfReplicaSpecs"]["Worker"]["replicas"] = workers
            policy.pop("suspend", None)
        else:
            policy["suspend"] = True
            if self._timer is not None:  # its deadline counts what it runs
                self._timer.cancel()
                self._timer = None
        self.api.replace(cast("KubeObject", self.item), cast("KubeObject", {"spec": spec}))
        self._keys = self._read_spec()
        self.ports = free_ports(len(self._keys))

    def begin(self) -> None:
        """Start the workers of a job that is paused."""
        if self._done:
            return
        self.paused = False
        take_back(self.host, self.item)
        if self._timer is None:
            self._status["startTime"] = rfc3339(self.host.loop.now())
            self._heed_deadline(self.host.loop.now())
        self._take_seats(self._start_all)

    def _wait_no_longer(self, timer: Timer | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = timer

    def _end_all(self) -> None:
        self._ending = True
        for replica in list(self._replicas.values()):
            if replica is not None:
                replica.stop()
        self._look_whether_paused()

    def _look_whether_paused(self) -> None:
        if not self._ending or any(self._replicas.values()):
            return
        self.paused, self._pausing, self._ending = True, False, False
        self._wait_no_longer(None)
        self._round += 1
        for each in (self._replicas, self._phase, self._restarts, self._codes, self._failed_now, self._due):
            each.clear()
        if self._seats is not None:
            self._seats.give_back()
        if not self._done:
            self._status["replicaStatuses"] = {kind: {} for kind in sorted(self._counts)}
            text = f"TFJob {self._name} is restarting because the number of its workers changes."
            self._condition("Restarting", "TFJobRestarting", text)
            self._write()

    def _put_aside(self, key: Key, code: int) -> bool:
        if self._pausing and (self._ending or code >= 128):
            self._tell(key, "stopped", "to go on with another number of workers")
            if not self._ending:
                self._end_all()
            else:
                self._look_whether_paused()
            return True
        if code == 0:
            self.unpause()  # it has come to its end
        return False

    def _again(self, key: Key, of_round: int) -> None:
        if self._pausing and of_round == self._round:
            self._end_all()
        else:
            super()._again(key, of_round)

    # -- replicas ---------------------------------------------------------------------------------------------

    def _env(self, key: Key) -> Mapping[str, str]:
        hosts = {each: f"localhost:{port}" for each, port in zip(self._keys, self.ports, strict=True)}
        text = tf_config(self._spec, hosts, *key)
        return {} if text is None else {"TF_CONFIG": text}

    # -- status -----------------------------------------------------------------------------------------------

    def _judge(self, kind: str, count: Mapping[str, int], lead: str | None) -> None:
        expected = self._counts[kind] - count["succeeded"]
        full = f"{self.host.namespace}/{self._name}"
        running, success = f"TFJob {full} is running.", f"TFJob {full} successfully completed."
        if lead is not None:
            if kind == lead:
                if expected == 0:
                    self._finish("Succeeded", success)
                    return
                if count["active"]:
                    self._condition("Running", "TFJobRunning", running)
        elif kind == "Worker":
            first = self._phase.get(("Worker", 0)) == "Succeeded"
            if expected == 0 or (first and self._spec.get("successPolicy") != "AllWorkers"):
                self._finish("Succeeded", success)
                return
            if count["active"] and not self._failed_now:
                self._condition("Running", "TFJobRunning", running)
        if count["failed"]:
            types = [condition["type"] for condition in self._status["conditions"]]
            tolerated = self._spec.get("enableDynamicWorker") and kind == "Worker"
            pending = any(
                each in self._due
                for each, phase in self._phase.items()
                if phase == "Failed" and each[0] == kind
            )
            if "Restarting" not in types and not tolerated and not pending:
                self._finish(
                    "Failed",
                    f'job "{self._name}" is failing because "{kind}" replica(s) failed.',
                )
