"""What the controllers of training jobs share: replicas that start together, seats, ends, restarts, going on after a
kill. What a kind makes of the ends of its replicas is its own (``tfjob.py``, ``jobset.py``)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from tiphys.argo.time import seconds
from tiphys.engine.base.loop import Timer
from tiphys.engine.base.observations import ReplicaChanged
from tiphys.engine.objects.api import Api
from tiphys.engine.objects.replica import Replica, describe_end, end_of, pod_record
from tiphys.engine.objects.seats import Seats
from tiphys.engine.pods.host import Host
from tiphys.engine.runners.left import LeftPod
from tiphys.gang.tf_config import free_ports

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import PodTemplate
    from tiphys.argo.pod_types import ObjectMeta

    Key: TypeAlias = tuple[str, int]  # the kind of a replica, and its number

__all__ = ["GangController"]

_BACKOFF = (0.2, 10.0)  # seconds before a replica that failed starts again: the first time, and at most


class GangController(ABC):
    """The controller of one object that stands for a gang of replicas, one process each.

    ``keys``: all its replicas. ``_phase`` says of each that was started: Running, Succeeded, Failed.
    """

    kind: ClassVar[str]

    def __init__(
        self, host: Host, api: Api, metadata: ObjectMeta, changed: Callable[[], None], keys: Sequence[Key]
    ) -> None:
        self.host = host
        self.api = api
        self._changed = changed
        self._name = str(metadata["name"])
        self._uid = str(metadata["uid"])
        self._created = str(metadata["creationTimestamp"])
        self._keys = list(keys)
        self._replicas: dict[Key, Replica | None] = {}
        self._phase: dict[Key, str] = {}
        self._restarts: dict[Key, int] = {}
        self._failed_now: set[Key] = set()
        self._due: set[Key] = set()  # failed, and to be started again in a moment
        self._codes: dict[Key, int] = {}
        self._done = False
        self._deleted = False
        self._round = 0  # of beginnings: what was to be started again in an earlier one is not
        self._timer: Timer | None = None
        self._seats: Seats | None = None
        self.node = ""  # of the step that made it
        self.ports: Sequence[int] = free_ports(len(self._keys))

    # -- what a kind says ---------------------------------------------------------------------------------------

    @abstractmethod
    def _accept(self) -> bool:
        """Write that the job is there; False: it does not begin."""

    @abstractmethod
    def _load(self) -> str:
        """Take over the status that was written down; ``Succeeded`` or ``Failed`` when it says so, else empty."""

    @abstractmethod
    def _template(self, key: Key) -> PodTemplate:
        """The template of a replica."""

    @abstractmethod
    def _dressed(self, key: Key) -> PodTemplate:
        """The same, as the controller makes a pod of it: it is the replica's own."""

    @abstractmethod
    def _main(self, key: Key) -> str:
        """The container that counts."""

    @abstractmethod
    def _pod_policy(self, key: Key) -> str:
        """The ``restartPolicy`` of the pod."""

    @abstractmethod
    def _starts_again(self, key: Key, code: int) -> bool:
        """Whether a pod that failed is replaced by another."""

    @abstractmethod
    def _restarted(self) -> None:
        """A container was started again inside its pod."""

    @abstractmethod
    def _limit(self) -> float | None:
        """The deadline, in seconds from the start."""

    @abstractmethod
    def _past_deadline(self) -> None:
        """The deadline is over."""

    @abstractmethod
    def _cleans(self) -> bool:
        """Whether the pods that still run when the job has succeeded are ended."""

    @abstractmethod
    def _sync(self) -> None:
        """Recompute the status as one pass of the controller does."""

    def _rests(self) -> bool:
        """Whether a job that has not ended has nothing that runs, or is to run."""
        return False

    def _put_aside(self, key: Key, code: int) -> bool:
        """Whether that a replica has ended says nothing of the job."""
        return False

    def _started(self) -> str:
        """When the job was."""
        return self._created

    def _env(self, key: Key) -> Mapping[str, str]:
        """Variables of the container that counts, beside those of its template."""
        return {}

    def _addresses(self) -> Mapping[str, str]:
        """Where on this machine the addresses of its pods (``host:port``) are."""
        return {}

    # -- the life of the gang -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Accept the job and start its replicas."""
        if not self._accept():
            return
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
        ends: dict[Key, int] = {}
        for key in self._keys:
            if (pod := left.get(self._pod(key))) is not None:
                self._restarts[key] = pod.generation - 1
                spec = self._template(key).get("spec") or {}
                code = end_of(pod, spec, main=self._main(key), restart=self._pod_policy(key))
                if code is not None:
                    ends[key] = code
        kept = {key: pod for key in self._keys if key not in ends and (pod := self._left(key)) is not None}
        if end := self._load():
            self._done = True
            if end == "Succeeded" and not self._cleans():  # else what still runs is about to be ended
                self._take_seats(lambda: self._start_left(kept, kept))
            return True
        if self._rests():
            return True
        lost = [key for key in self._keys if self._pod(key) in left and key not in ends and key not in kept]
        if lost or not left:
            return False
        self._accept()
        self._phase = dict.fromkeys(ends, "Running")  # their ends are told one by one, as they were
        # one that is not kept was not started yet
        self._take_seats(lambda: self._start_left([key for key in self._keys if key not in ends], kept))
        for key, code in ends.items():
            self._ended(key, code)
        self._sync()
        if not self._done:
            self._heed_deadline(seconds(self._started()))
        return True

    def _start_left(self, keys: Iterable[Key], kept: Mapping[Key, LeftPod]) -> None:
        for key in keys:
            self._start_replica(key, kept.get(key))

    def _take_seats(self, then: Callable[[], None]) -> None:
        """Call ``then`` when the gang has its GPUs."""
        specs = {self._pod(key): self._template(key).get("spec") or {} for key in self._keys}
        self._seats = Seats(self.host, f"{self.kind}/{self._name}", specs)
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
        for replica in self._replicas.values():
            if replica is not None:
                replica.stop()
        self._leave_seats()

    def report(self) -> list[str]:
        """For people: how each replica that failed ended, with the end of its log."""
        lines = []
        for key, code in sorted(self._codes.items()):
            if code:
                what = f"{_worker(key)} ended with exit code {code}"
                lines += describe_end(self.host, self._pod(key), what)
        return lines

    @property
    def told(self) -> tuple[Path, str] | None:
        """The file that its first replica tells in what it has to tell, and what that one is called."""
        lead = [key for key in self._keys if key in (("Chief", 0), ("Master", 0))] or self._keys
        replica = self._replicas.get(lead[0])
        return None if replica is None or replica.told is None else (replica.told, _worker(lead[0]))

    # -- replicas -----------------------------------------------------------------------------------------------

    def _pod(self, key: Key) -> str:
        return f"{self._name}-{_worker(key)}"

    def _left(self, key: Key) -> LeftPod | None:
        """What goes on of a replica that a killed engine had started."""
        return self.host.left_pod(pod_record(self._uid, self._pod(key)))

    def _start_replica(self, key: Key, left: LeftPod | None = None) -> None:
        def restarted(count: int) -> None:
            self._restarts[key] = self._restarts.get(key, 0) + 1
            self._tell(key, "restarted", f"restart {self._restarts[key]}")
            self._restarted()

        self._phase[key] = "Running"
        replica = Replica(
            self.host,
            self._pod(key),
            self._dressed(key),
            main=self._main(key),
            restart=self._pod_policy(key),
            ended=lambda code: self._ended(key, code),
            restarted=restarted,
            extra_env=self._env(key),
            addresses=self._addresses(),
            seats=self._seats,
            owner=self._uid,
            left=left,
            node=self.node,
            worker=_worker(key),
        )
        self._replicas[key] = replica
        self._tell(key, "started", "")
        replica.start()

    def _ended(self, key: Key, code: int) -> None:
        self._replicas[key] = None
        self._codes[key] = code
        self._leave_seats()
        if self._deleted:
            self._tell(key, "stopped", "")
            return
        if self._put_aside(key, code):
            return
        if code == 0:
            self._phase[key] = "Succeeded"
            self._tell(key, "succeeded", "")
        else:
            self._phase[key] = "Failed"
            again = not self._done and self._starts_again(key, code)
            self._tell(key, "failed", f"exit code {code}" + (", to be restarted" if again else ""))
            if again:
                self._failed_now.add(key)
                self._due.add(key)
                self._restarts[key] = self._restarts.get(key, 0) + 1
                self._sync()
                self._failed_now.discard(key)
                if not self._done:
                    delay = min(_BACKOFF[0] * 2.0 ** min(self._restarts[key], 8), _BACKOFF[1])
                    now = self._round
                    self.host.loop.call_later(delay, lambda: self._again(key, now))
                return
        self._sync()

    def _again(self, key: Key, of_round: int) -> None:
        if of_round != self._round:
            return
        self._due.discard(key)
        if not self._done:
            self._start_replica(key)
            self._sync()

    def _tell(self, key: Key, state: str, message: str) -> None:
        worker = _worker(key)
        self.host.tell(ReplicaChanged(self.host.loop.now(), self.kind, self._name, worker, state, message))
        if self.node:
            code = self._codes.get(key) if state == "failed" else None
            self.host.sampler.event(self.node, worker, state, message, code)

    def _heed_deadline(self, start: float) -> None:
        if (limit := self._limit()) is not None:
            self._timer = self.host.loop.call_at(start + limit, self._past_deadline)

    def _finished(self, *, everything: bool) -> None:
        """It has ended: stop the clock, and ``everything`` that still runs or what its kind says."""
        self._done = True
        if self._timer is not None:
            self._timer.cancel()
        if everything or self._cleans():
            for replica in self._replicas.values():
                if replica is not None:
                    replica.stop()
        self._leave_seats()


def _worker(key: Key) -> str:
    """What a replica is called beside the others of its gang: ``worker-1``."""
    return f"{key[0].lower()}-{key[1]}"
