"""The stand-in for the training operator's TFJob (kubeflow.org/v1, operator 1.9.4): one process a worker.

Conditions, replica statuses and the rules for restarts and success follow pkg/controller.v1/common and
pkg/controller.v1/tensorflow; ``TF_CONFIG`` is in ``tfconfig.py``, what the webhook refuses in ``tfjob_rules.py``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.argo.time import rfc3339
from tiphys.engine.base.loop import Timer
from tiphys.engine.base.observations import ReplicaChanged
from tiphys.engine.objects.api import Api
from tiphys.engine.objects.replica import Replica, describe_end
from tiphys.engine.objects.seats import Seats
from tiphys.engine.pods.host import Host
from tiphys.training.tf_config import free_ports, replica_counts, tf_config
from tiphys.training.tfjob_rules import TYPES

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import TFJobManifest, TFJobSpec, TFJobStatus, TFReplicaStatus


__all__ = ["TFJobController"]


def _status(count: Mapping[str, int]) -> TFReplicaStatus:
    """The API server leaves zeros out."""
    found: TFReplicaStatus = {}
    if count["active"]:
        found["active"] = count["active"]
    if count["succeeded"]:
        found["succeeded"] = count["succeeded"]
    if count["failed"]:
        found["failed"] = count["failed"]
    return found


class TFJobController:
    """The controller of one TFJob object."""

    def __init__(self, host: Host, api: Api, item: TFJobManifest, changed: Callable[[], None]) -> None:
        self.host = host
        self.api = api
        self.item = item
        self._changed = changed
        self._spec: TFJobSpec = item["spec"]
        self._name = str(item["metadata"]["name"])
        self._counts = replica_counts(self._spec)
        self._replicas: dict[tuple[str, int], Replica | None] = {}
        self._phase: dict[tuple[str, int], str] = {}  # Pending, Running, Succeeded, Failed
        self._restarts: dict[tuple[str, int], int] = {}
        self._failed_now: set[tuple[str, int]] = set()
        self._restarting = False
        self._done = False
        self._deleted = False
        self._timer: Timer | None = None
        self._status: TFJobStatus = {"conditions": [], "replicaStatuses": {}}
        self._env: dict[tuple[str, int], dict[str, str]] = {}
        self._codes: dict[tuple[str, int], int] = {}
        self._seats: Seats | None = None

    def start(self) -> None:
        """Accept the job and start its replicas."""
        self._condition("Created", "TFJobCreated", f"TFJob {self._name} is created.")
        run_policy = self._spec.get("runPolicy") or {}
        keys = [(kind, index) for kind in sorted(self._counts) for index in range(self._counts[kind])]
        if run_policy.get("suspend"):
            self._condition("Suspended", "TFJobSuspended", f"TFJob {self._name} is suspended.")
            self._write()
            return
        hosts = {key: f"localhost:{port}" for key, port in zip(keys, free_ports(len(keys)), strict=True)}
        self._status["startTime"] = rfc3339(self.host.loop.now())
        for kind, index in keys:
            text = tf_config(self._spec, hosts, kind, index)
            self._env[kind, index] = {} if text is None else {"TF_CONFIG": text}
        if (seconds := run_policy.get("activeDeadlineSeconds")) is not None:
            self._timer = self.host.loop.call_later(float(seconds), self._past_deadline)
        specs = {self._pod(key): self._spec["tfReplicaSpecs"][key[0]]["template"]["spec"] for key in keys}
        self._seats = Seats(self.host, f"TFJob/{self._name}", specs)
        self._sync()
        self._seats.take(lambda: self._start_all(keys))

    def _start_all(self, keys: Sequence[tuple[str, int]]) -> None:
        for key in keys:
            self._start_replica(key)
        self._sync()

    def _pod(self, key: tuple[str, int]) -> str:
        return f"{self._name}-{key[0].lower()}-{key[1]}"

    def _leave_seats(self) -> None:
        """Give the GPUs of the gang back, when none of it runs or will run."""
        if self._done and not any(self._replicas.values()) and self._seats is not None:
            self._seats.give_back()

    def delete(self) -> None:
        """The object is gone: so are its pods."""
        self._deleted = self._done = True
        if self._timer is not None:
            self._timer.cancel()
        for replica in self._replicas.values():
            if replica is not None:
                replica.stop()
        self._leave_seats()

    def report(self) -> list[str]:
        """For people: how each replica that failed ended, with the end of its log."""
        lines = []
        for (kind, index), code in sorted(self._codes.items()):
            if code:
                name = self._pod((kind, index))
                lines += describe_end(self.host, name, f"{kind.lower()}-{index} ended with exit code {code}")
        return lines

    def kill(self) -> None:
        self._deleted = self._done = True
        for replica in self._replicas.values():
            if replica is not None:
                replica.kill()

    # -- replicas ---------------------------------------------------------------------------------------------

    def _start_replica(self, key: tuple[str, int]) -> None:
        kind, index = key
        spec = self._spec["tfReplicaSpecs"][kind]
        policy = str(spec.get("restartPolicy") or "Never")
        template = copy.deepcopy(spec["template"])
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels.update(
            {
                "training.kubeflow.org/job-name": self._name,
                "training.kubeflow.org/operator-name": "tfjob-controller",
                "training.kubeflow.org/replica-index": str(index),
                "training.kubeflow.org/replica-type": kind.lower(),
            }
        )
        name = self._pod(key)

        def ended(code: int) -> None:
            self._ended(key, code, policy)

        def restarted(count: int) -> None:
            self._restarts[key] = self._restarts.get(key, 0) + 1
            self._tell(key, "restarted", f"restart {self._restarts[key]}")
            self._check_backoff()

        self._phase[key] = "Running"
        replica = Replica(
            self.host,
            name,
            template,
            main="tensorflow",
            restart="Never" if policy == "ExitCode" else policy,
            ended=ended,
            restarted=restarted,
            extra_env=self._env[key],
            seats=self._seats,
        )
        self._replicas[key] = replica
        self._tell(key, "started", "")
        replica.start()

    def _ended(self, key: tuple[str, int], code: int, policy: str) -> None:
        self._replicas[key] = None
        self._codes[key] = code
        self._leave_seats()
        if self._deleted:
            self._tell(key, "stopped", "")
            return
        if code == 0:
            self._phase[key] = "Succeeded"
            self._tell(key, "succeeded", "")
        else:
            self._phase[key] = "Failed"
            retry = policy in ("OnFailure", "Always") or (policy == "ExitCode" and code >= 128)
            self._tell(
                key, "failed", f"exit code {code}" + (", to be restarted" if retry and not self._done else "")
            )
            if retry and not self._done:
                self._failed_now.add(key)
                self._restarts[key] = self._restarts.get(key, 0) + 1
                self._sync()
                self._failed_now.discard(key)
                if not self._done:
                    delay = min(0.2 * 2.0 ** min(self._restarts[key], 8), 10.0)
                    self.host.loop.call_later(delay, lambda: self._again(key))
                return
        self._sync()

    def _again(self, key: tuple[str, int]) -> None:
        if not self._done:
            self._start_replica(key)
            self._sync()

    def _tell(self, key: tuple[str, int], state: str, message: str) -> None:
        self.host.tell(
            ReplicaChanged(
                self.host.loop.now(), "TFJob", self._name, f"{key[0].lower()}-{key[1]}", state, message
            )
        )

    # -- status -----------------------------------------------------------------------------------------------

    def _sync(self) -> None:
        """Recompute the status as one pass of the operator does."""
        if self._done:
            return
        counts = {kind: {"active": 0, "succeeded": 0, "failed": 0} for kind in self._counts}
        for key, phase in self._phase.items():
            counts[key[0]][{"Running": "active", "Succeeded": "succeeded"}.get(phase, "failed")] += 1
        self._status["replicaStatuses"] = {kind: _status(counts[kind]) for kind in sorted(counts)}
        if self._failed_now:
            kind = next(iter(self._failed_now))[0]
            self._condition(
                "Restarting",
                "TFJobRestarting",
                f"TFJob {self._name} is restarting because {kind} replica(s) failed.",
            )
        lead = next((kind for kind in ("Chief", "Master") if kind in self._counts), None)
        for kind in TYPES:
            if kind in self._counts and not self._done:
                self._judge(kind, counts[kind], lead)
        self._write()

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
                each in self._failed_now or self._will_restart(each)
                for each, phase in self._phase.items()
                if phase == "Failed" and each[0] == kind
            )
            if "Restarting" not in types and not tolerated and not pending:
                self._finish(
                    "Failed",
                    f'job "{self._name}" is failing because "{kind}" replica(s) failed.',
                )

    def _will_restart(self, key: tuple[str, int]) -> bool:
        policy = str(self._spec["tfReplicaSpecs"][key[0]].get("restartPolicy") or "Never")
        return self._restarts.get(key, 0) > 0 and policy != "Never"

    def _check_backoff(self) -> None:
        limit = (self._spec.get("runPolicy") or {}).get("backoffLimit")
        if limit is None or self._done:
            return
        total = sum(
            count
            for key, count in self._restarts.items()
            if self._spec["tfReplicaSpecs"][key[0]].get("restartPolicy") in ("OnFailure", "Always")
        )
        if (int(limit) == 0 and total > 0) or (int(limit) > 0 and total >= int(limit)):
            self._finish(
                "Failed", f"Job {self._name} has failed because it has reached the specified backoff limit"
            )
            self._write()

    def _past_deadline(self) -> None:
        if not self._done:
            self._finish(
                "Failed", f"Job {self._name} has failed because it was active longer than specified deadline"
            )
            self._write()

    def _finish(self, kind: str, message: str) -> None:
        self._condition(kind, f"TFJob{kind}", message)
        self._status["completionTime"] = rfc3339(self.host.loop.now())
        self._done = True
        if self._timer is not None:
            self._timer.cancel()
        if kind == "Succeeded":
            for status in self._status["replicaStatuses"].values():
                if active := status.pop("active", 0):
                    status["succeeded"] = status.get("succeeded", 0) + active
        # on a cluster the pods of a failed job go on as cleanPodPolicy says; here they would only slow the next
        # gang down, which shares the machine
        self._clean(everything=kind == "Failed")
        self._leave_seats()

    def _clean(self, *, everything: bool = False) -> None:
        policy = str((self._spec.get("runPolicy") or {}).get("cleanPodPolicy") or "None")
        if everything or policy in ("Running", "All"):
            for replica in self._replicas.values():
                if replica is not None:
                    replica.stop()

    def _condition(self, kind: str, reason: str, message: str) -> None:
        conditions = self._status["conditions"]
        current = next((each for each in conditions if each["type"] == kind), None)
        if current is not None and current["status"] == "True" and current["reason"] == reason:
            return
        if any(each["type"] in ("Failed", "Succeeded") and each["status"] == "True" for each in conditions):
            return
        now = rfc3339(self.host.loop.now())
        kept = []
        for each in conditions:
            if {each["type"], kind} == {"Running", "Restarting"} or each["type"] == kind:
                continue
            if kind in ("Failed", "Succeeded") and each["type"] in ("Running", "Failed"):
                each = {**each, "status": "False"}
            kept.append(each)
        kept.append(
            {
                "lastTransitionTime": now,
                "lastUpdateTime": now,
                "message": message,
                "reason": reason,
                "status": "True",
                "type": kind,
            }
        )
        self._status["conditions"] = kept

    def _write(self) -> None:
        self.api.status(self.item, self._status)
        self._changed()
