"""The stand-in for the training operator's TFJob (kubeflow.org/v1, operator 1.9.4): one process a worker.

Conditions, replica statuses and the rules for restarts and success follow pkg/controller.v1/common and
pkg/controller.v1/tensorflow; ``TF_CONFIG`` is in ``tfconfig.py``, what the webhook refuses in ``tfjob_rules.py``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from tiphys.argo.time import rfc3339, seconds
from tiphys.engine.base.loop import Timer
from tiphys.engine.base.observations import ReplicaChanged
from tiphys.engine.objects.api import Api
from tiphys.engine.objects.backup import ask_to_end, take_back
from tiphys.engine.objects.replica import Replica, describe_end, end_of, pod_record
from tiphys.engine.objects.seats import Seats
from tiphys.engine.objects.tfjob_status import end_of_job, replica_status, set_condition
from tiphys.engine.pods.host import Host
from tiphys.engine.runners.left import LeftPod
from tiphys.training.tf_config import free_ports, replica_counts, tf_config
from tiphys.training.tfjob_rules import TYPES

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import (
        KubeObject,
        PodTemplate,
        TFJobManifest,
        TFJobSpec,
        TFJobStatus,
    )


__all__ = ["TFJobController"]

_MAIN = "tensorflow"  # the container that counts


class TFJobController:
    """The controller of one TFJob object."""

    def __init__(self, host: Host, api: Api, item: TFJobManifest, changed: Callable[[], None]) -> None:
        self.host = host
        self.api = api
        self.item = item
        self._changed = changed
        self._name = str(item["metadata"]["name"])
        self._uid = str(item["metadata"]["uid"])
        self._read_spec()
        self._replicas: dict[tuple[str, int], Replica | None] = {}
        self._phase: dict[tuple[str, int], str] = {}  # Pending, Running, Succeeded, Failed
        self._restarts: dict[tuple[str, int], int] = {}
        self._failed_now: set[tuple[str, int]] = set()
        self._done = False
        self._deleted = False
        self._timer: Timer | None = None
        self._status: TFJobStatus = {"conditions": [], "replicaStatuses": {}}
        self._codes: dict[tuple[str, int], int] = {}
        self._seats: Seats | None = None
        self.paused = False  # none of its workers runs, and none begins until it is told
        self._pausing = False  # the chief is to end after its next backup
        self._ending = False  # and so are the others, at once
        self._patience: Timer | None = None
        self._round = 0  # of beginnings: what was to be started again in an earlier one is not

    def _read_spec(self) -> None:
        self._spec: TFJobSpec = self.item["spec"]
        self._counts = replica_counts(self._spec)
        self._keys = [(kind, index) for kind in sorted(self._counts) for index in range(self._counts[kind])]
        self.ports: Sequence[int] = free_ports(len(self._keys))

    def start(self) -> None:
        """Accept the job and start its replicas."""
        self._condition("Created", "TFJobCreated", f"TFJob {self._name} is created.")
        run_policy = self._spec.get("runPolicy") or {}
        if run_policy.get("suspend"):
            self.paused = True
            self._condition("Suspended", "TFJobSuspended", f"TFJob {self._name} is suspended.")
            self._write()
            return
        self._status["startTime"] = rfc3339(self.host.loop.now())
        self._heed_deadline(self.host.loop.now())
        self._sync()
        self._take_seats(self._start_all)

    def _start_all(self) -> None:
        for key in self._keys:
            self._start_replica(key)
        self._sync()

    def go_on(self, ports: Sequence[int]) -> bool:
        """Go on where a killed engine was, with the ports that it had chosen; False: some replica is lost, so that the
        job has to begin anew as a group.

        Its status is the one that was written down; how each replica ended, and how often it was restarted, is in the
        records of its processes. GPUs that the gang had are still its own.
        """
        if len(ports) != len(self._keys):
            return False
        self.ports = ports
        left = self.host.left.of(self._uid) if self.host.left is not None else {}
        ends: dict[tuple[str, int], int] = {}
        for key in self._keys:
            if (pod := left.get(self._pod(key))) is not None:
                self._restarts[key] = pod.generation - 1
                spec = self._template(key).get("spec") or {}
                code = end_of(pod, spec, main=_MAIN, restart=self._pod_policy(key))
                if code is not None:
                    ends[key] = code
        kept = {key: pod for key in self._keys if key not in ends and (pod := self._left(key)) is not None}
        status: TFJobStatus = copy.deepcopy(self.item.get("status") or {})
        self._status.update(status)
        if end := end_of_job(self._status):
            self._done = True
            if end == "Succeeded" and not self._cleans():  # else what still runs is about to be ended
                self._take_seats(lambda: self._start_left(kept, kept))
            return True
        if (self._spec.get("runPolicy") or {}).get("suspend"):
            self.paused = True
            return True
        lost = [key for key in self._keys if self._pod(key) in left and key not in ends and key not in kept]
        if lost or not left:
            return False
        self._condition("Created", "TFJobCreated", f"TFJob {self._name} is created.")
        started = self._status.setdefault("startTime", rfc3339(self.host.loop.now()))
        self._phase = dict.fromkeys(ends, "Running")  # their ends are told one by one, as they were
        # one that is not kept was not started yet
        self._take_seats(lambda: self._start_left([key for key in self._keys if key not in ends], kept))
        for key, code in ends.items():
            self._ended(key, code)
        self._sync()
        if not self._done:
            self._heed_deadline(seconds(str(started)))
        return True

    def _start_left(self, keys: Iterable[tuple[str, int]], kept: Mapping[tuple[str, int], LeftPod]) -> None:
        for key in keys:
            self._start_replica(key, kept.get(key))

    def _take_seats(self, then: Callable[[], None]) -> None:
        """Call ``then`` when the gang has its GPUs."""
        specs = {self._pod(key): self._template(key).get("spec") or {} for key in self._keys}
        self._seats = Seats(self.host, f"TFJob/{self._name}", specs)
        self._seats.take(then)

    def _leave_seats(self) -> None:
        """Give the GPUs of the gang back, when none of it runs or will run."""
        if self._done and not any(self._replicas.values()) and self._seats is not None:
            self._seats.give_back()

    def delete(self) -> None:
        """The object is gone: so are its pods."""
        self._deleted = self._done = True
        if self._timer is not None:
            self._timer.cancel()
        self._wait_no_longer(None)
        for replica in self._replicas.values():
            if replica is not None:
                replica.stop()
        self._leave_seats()

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
        self._read_spec()

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
        for each in (self._replicas, self._phase, self._restarts, self._codes, self._failed_now):
            each.clear()
        if self._seats is not None:
            self._seats.give_back()
        if not self._done:
            self._status["replicaStatuses"] = {kind: {} for kind in sorted(self._counts)}
            text = f"TFJob {self._name} is restarting because the number of its workers changes."
            self._condition("Restarting", "TFJobRestarting", text)
            self._write()

    def report(self) -> list[str]:
        """For people: how each replica that failed ended, with the end of its log."""
        lines = []
        for key, code in sorted(self._codes.items()):
            if code:
                what = f"{key[0].lower()}-{key[1]} ended with exit code {code}"
                lines += describe_end(self.host, self._pod(key), what)
        return lines

    # -- replicas ---------------------------------------------------------------------------------------------

    def _pod(self, key: tuple[str, int]) -> str:
        return f"{self._name}-{key[0].lower()}-{key[1]}"

    def _left(self, key: tuple[str, int]) -> LeftPod | None:
        """What goes on of a replica that a killed engine had started."""
        return self.host.left_pod(pod_record(self._uid, self._pod(key)))

    def _policy(self, key: tuple[str, int]) -> str:
        return str(self._spec["tfReplicaSpecs"][key[0]].get("restartPolicy") or "Never")

    def _pod_policy(self, key: tuple[str, int]) -> str:
        """What the pods are given: for ``ExitCode`` it is the operator who decides."""
        policy = self._policy(key)
        return "Never" if policy == "ExitCode" else policy

    def _template(self, key: tuple[str, int]) -> PodTemplate:
        return self._spec["tfReplicaSpecs"][key[0]]["template"]

    def _start_replica(self, key: tuple[str, int], left: LeftPod | None = None) -> None:
        kind, index = key
        template = copy.deepcopy(self._template(key))
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels.update(
            {
                "training.kubeflow.org/job-name": self._name,
                "training.kubeflow.org/operator-name": "tfjob-controller",
                "training.kubeflow.org/replica-index": str(index),
                "training.kubeflow.org/replica-type": kind.lower(),
            }
        )
        hosts = {each: f"localhost:{port}" for each, port in zip(self._keys, self.ports, strict=True)}
        text = tf_config(self._spec, hosts, kind, index)

        def restarted(count: int) -> None:
            self._restarts[key] = self._restarts.get(key, 0) + 1
            self._tell(key, "restarted", f"restart {self._restarts[key]}")
            self._check_backoff()

        self._phase[key] = "Running"
        replica = Replica(
            self.host,
            self._pod(key),
            template,
            main=_MAIN,
            restart=self._pod_policy(key),
            ended=lambda code: self._ended(key, code),
            restarted=restarted,
            extra_env={} if text is None else {"TF_CONFIG": text},
            seats=self._seats,
            owner=self._uid,
            left=left,
        )
        self._replicas[key] = replica
        self._tell(key, "started", "")
        replica.start()

    def _ended(self, key: tuple[str, int], code: int) -> None:
        self._replicas[key] = None
        self._codes[key] = code
        self._leave_seats()
        if self._deleted:
            self._tell(key, "stopped", "")
            return
        if self._pausing and (self._ending or code >= 128):
            self._tell(key, "stopped", "to go on with another number of workers")
            if not self._ending:
                self._end_all()
            else:
                self._look_whether_paused()
            return
        if code == 0:
            self.unpause()  # it has come to its end
            self._phase[key] = "Succeeded"
            self._tell(key, "succeeded", "")
        else:
            self._phase[key] = "Failed"
            policy = self._policy(key)
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
                    now = self._round
                    self.host.loop.call_later(delay, lambda: self._again(key, now))
                return
        self._sync()

    def _again(self, key: tuple[str, int], of_round: int) -> None:
        if self._pausing:
            self._end_all()
        elif not self._done and of_round == self._round:
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
        self._status["replicaStatuses"] = {kind: replica_status(counts[kind]) for kind in sorted(counts)}
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
        return self._restarts.get(key, 0) > 0 and self._policy(key) != "Never"

    def _check_backoff(self) -> None:
        limit = (self._spec.get("runPolicy") or {}).get("backoffLimit")
        if limit is None or self._done:
            return
        total = sum(
            count for key, count in self._restarts.items() if self._policy(key) in ("OnFailure", "Always")
        )
        if (int(limit) == 0 and total > 0) or (int(limit) > 0 and total >= int(limit)):
            self._finish(
                "Failed", f"Job {self._name} has failed because it has reached the specified backoff limit"
            )
            self._write()

    def _heed_deadline(self, start: float) -> None:
        if (limit := (self._spec.get("runPolicy") or {}).get("activeDeadlineSeconds")) is not None:
            self._timer = self.host.loop.call_at(start + float(limit), self._past_deadline)

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

    def _cleans(self) -> bool:
        """Whether the pods that still run when the job has succeeded are ended."""
        return (self._spec.get("runPolicy") or {}).get("cleanPodPolicy") in ("Running", "All")

    def _clean(self, *, everything: bool = False) -> None:
        if everything or self._cleans():
            for replica in self._replicas.values():
                if replica is not None:
                    replica.stop()

    def _condition(self, kind: str, reason: str, message: str) -> None:
        set_condition(self._status, kind, reason, message, rfc3339(self.host.loop.now()))

    def _write(self) -> None:
        self.api.status(self.item, self._status)
        self._changed()
