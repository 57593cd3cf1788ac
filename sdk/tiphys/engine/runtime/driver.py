"""The driver of a run: carries out the core's commands and brings it what happened."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from tiphys.argo.nodes import ENDED, is_hit
from tiphys.argo.pools import pools_of
from tiphys.engine.base.loop import Timer
from tiphys.engine.base.observations import Change, NodeChanged
from tiphys.engine.machine.machine import Machine
from tiphys.engine.machine.protocol import (
    AcquireLocks,
    Command,
    Event,
    LookupCache,
    PodFinished,
    PodProgress,
    PodRunning,
    ReleaseLocks,
    Resume,
    SetTimer,
    StartPod,
    StopPod,
    StoreCache,
    Suspend,
    TimerFired,
    WorkflowFinished,
)
from tiphys.engine.objects import Controllers
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.pod import StepPod
from tiphys.engine.runtime.journal import Journal
from tiphys.engine.runtime.leaves import Pod, make_pod
from tiphys.engine.runtime.locks import Synchronizer
from tiphys.engine.runtime.memoizer import Memoizer
from tiphys.engine.runtime.metrics_file import MetricsFile
from tiphys.engine.runtime.progress import progress_of_pod
from tiphys.engine.runtime.trainings import Trainings
from tiphys.engine.runtime.turns import Turns

if TYPE_CHECKING:
    from tiphys.argo.types import Node


__all__ = ["Driver"]

_PROGRESS_PERIOD = 0.5
_FLUSH_PERIOD = 0.5


class Driver:
    """One run in progress: :meth:`emit` its first event, then :meth:`step` until :attr:`finished`."""

    def __init__(self, host: Host, machine: Machine, journal: Journal, resources: Controllers) -> None:
        self.host = host
        self.machine = machine
        self.journal = journal
        self.resources = resources
        self.finished: WorkflowFinished | None = None
        self.wake: Callable[[], None] | None = None  # told of each event, where nobody calls step()
        self.grace: float | None = None  # after a Ctrl-C: no pod gets longer than this
        self.metrics = MetricsFile(host.loop, host.folder, machine.metrics)
        self._inbox: deque[Event] = deque()
        self._flushing = False
        self._queue: deque[StartPod] = deque()
        self._pods: dict[str, Pod] = {}
        self._collected: list[StepPod] = []  # what they left is collected, and not yet in the journal
        self._slots_used: set[str] = set()
        self._deadlines: dict[str, Timer] = {}
        self._progress: dict[str, str] = {}
        self._progress_timer: Timer | None = None
        self._phases: dict[str, str] = {}
        self._memo = Memoizer(host, self.emit)
        weights = pools_of(machine.annotations)
        self._sync = Synchronizer(host, self.emit, weights, lambda: machine.suspended)
        self._trainings = Trainings(host, self.emit, self._sync, resources, journal.commit)
        self._turns = Turns(host, self.emit, self._enqueue)

    def emit(self, event: Event) -> None:
        """Take an event; it reaches the core in the order of arrival, after the journal."""
        self._inbox.append(event)
        if self.wake is not None:
            self.wake()

    def carry_out(self, commands: list[Command]) -> None:
        for command in commands:
            self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        match command:
            case StartPod():
                self._start_pod(command)
            case StopPod():
                self._stop_pod(command)
            case LookupCache():
                self._memo.lookup(command)
            case StoreCache():
                self._memo.store(command)
            case AcquireLocks():
                self._sync.acquire(command)
            case ReleaseLocks():
                self._sync.release(command.node_id)
            case SetTimer():
                self._set_timer(command)
            case WorkflowFinished():
                self.finished = command
            case _:
                raise TypeError(f"no way to carry out {command!r}")

    def step(self) -> None:
        """Wait for something to happen and deal with it."""
        if not self._inbox:
            self.host.loop.step()
        self.drain()

    def drain(self) -> None:
        """Journal what has arrived, give it to the core, carry out what the core wants, and wait for the disk."""
        while self._inbox and self.finished is None:
            events = list(self._inbox)
            self._inbox.clear()
            for event in events:
                self.journal.append(event)
            self.journal.commit(wait=False)
            while self._collected:
                self._collected.pop().clean()
            for event in events:
                commands = self.machine.handle(event)
                self._tell_changes(event.now)
                self.carry_out(commands)
                if isinstance(event, Suspend | Resume):
                    self._sync.suspended_or_resumed()
        self.journal.commit()
        self.metrics.touch()
        if self.journal.pending and not self._flushing:
            self._flushing = True
            self.host.loop.call_later(_FLUSH_PERIOD, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self.finished is None:
            self.journal.flush()

    def remember(self) -> None:
        """After a resume: take the nodes' phases as told already."""
        self._phases = {node_id: str(node.get("phase", "")) for node_id, node in self.machine.nodes.items()}

    def reacquire(self, command: AcquireLocks) -> bool:
        """After a resume: take a held lock again."""
        return self._sync.reacquire(command)

    def forget_locks(self, nodes: Collection[str]) -> None:
        """After a resume: these nodes' locks were given back."""
        self._sync.forget(nodes)

    def kill_all(self) -> None:
        """SIGKILL every pod; they still report."""
        self._queue.clear()
        self._turns.clear()
        for pod in list(self._pods.values()):
            pod.kill()

    @property
    def active(self) -> int:
        """How many pods run or are being ended."""
        return len(self._pods)

    def close(self) -> None:
        """Give back locks. The pods' processes end with the spawner."""
        self._sync.close()
        self._turns.clear()
        self._memo.close()
        for timer in self._deadlines.values():
            timer.cancel()
        if self._progress_timer is not None:
            self._progress_timer.cancel()

    # -- pods -------------------------------------------------------------------------------------------------

    def kept(self, node_id: str) -> bool:
        """Whether something of a node's pod is left of a killed engine, and goes on."""
        return self.host.left_pod(node_id) is not None

    def _start_pod(self, command: StartPod) -> None:
        if self.kept(command.node_id):  # it runs already
            self._begin(self._turns.taken_over(command))
        else:
            self._turns.enter(command)

    def _enqueue(self, command: StartPod) -> None:
        self._queue.append(command)
        self._admit()

    def _admit(self) -> None:
        limit = self.host.options.max_pods
        while self._queue:
            command = self._queue[0]
            counted = _counts(command)
            if counted and len(self._slots_used) >= limit:
                return
            self._queue.popleft()
            self._begin(command)

    def _begin(self, command: StartPod) -> None:
        if _counts(command):
            self._slots_used.add(command.node_id)
        pod = make_pod(
            self.host,
            self.resources,
            command,
            lambda ip: self.emit(PodRunning(self.host.loop.now(), command.node_id, ip)),
            self._pod_finished,
            self._trainings.workers(command),
        )
        self._pods[command.node_id] = pod
        self._trainings.enter(command, pod)
        if command.deadline is not None and not self._over(command.node_id):
            self._deadlines[command.node_id] = self.host.loop.call_at(
                command.deadline, lambda: self._deadline(command)
            )
        pod.start()
        if self._progress_timer is None and (hasattr(pod, "progress_file") or hasattr(pod, "told")):
            self._progress_timer = self.host.loop.call_later(_PROGRESS_PERIOD, self._read_progress)

    def _over(self, node_id: str) -> bool:
        """Whether the work of a pod had ended when its engine was killed: only its outputs are to be collected."""
        left = self.host.left_pod(node_id)
        return left is not None and left.over

    def _pod_finished(self, event: PodFinished) -> None:
        pod = self._pods.pop(event.node_id, None)
        if isinstance(pod, StepPod):
            self._collected.append(pod)
        self._slots_used.discard(event.node_id)
        self._turns.leave(event.node_id)
        self._trainings.leave(event.node_id)
        self._progress.pop(event.node_id, None)
        timer = self._deadlines.pop(event.node_id, None)
        if timer is not None:
            timer.cancel()
        self.emit(event)
        if self._queue:
            self.host.loop.call_soon(self._admit)

    def _stop_pod(self, command: StopPod) -> None:
        queued = next((each for each in self._queue if each.node_id == command.node_id), None)
        if queued is not None:
            self._queue.remove(queued)
        if (command.node_id not in self._pods and self._turns.leave(command.node_id)) or queued is not None:
            self.emit(PodFinished(self.host.loop.now(), command.node_id, "Failed", ""))
            return
        pod = self._pods.get(command.node_id)
        if pod is not None:
            pod.stop(command.grace if self.grace is None else min(self.grace, command.grace))

    def _deadline(self, command: StartPod) -> None:
        pod = self._pods.get(command.node_id)
        if pod is not None:
            pod.failure = ("Failed", command.deadline_message)
            pod.stop(self.host.options.grace)

    def _read_progress(self) -> None:
        self._progress_timer = None
        for node_id, pod in self._pods.items():
            text = progress_of_pod(pod)
            if text and text != self._progress.get(node_id):
                self._progress[node_id] = text
                self.emit(PodProgress(self.host.loop.now(), node_id, text))
        if self._pods:
            self._progress_timer = self.host.loop.call_later(_PROGRESS_PERIOD, self._read_progress)

    # -- the rest -----------------------------------------------------------------------------------------------

    def _set_timer(self, command: SetTimer) -> None:
        def fire() -> None:
            self.emit(TimerFired(max(self.host.loop.now(), command.at), command.token))

        self.host.loop.call_at(command.at, fire)

    def _tell_changes(self, now: float) -> None:
        if self.host.options.observer is None:
            return
        for node_id in list(self.machine.changed):
            node = self.machine.nodes.get(node_id)
            if node is None:
                continue
            before, phase = self._phases.get(node_id, ""), str(node.get("phase", ""))
            change = _change(before, phase, node)
            self._phases[node_id] = phase
            self.host.tell(NodeChanged(now, change, node.copy()))


def _change(before: str, phase: str, node: Node) -> Change:
    if phase in ENDED:
        if before in ENDED:
            return "progress"
        return "hit" if is_hit(node) and phase == "Succeeded" else "finished"
    if phase == "Running" and before != "Running":
        return "started"
    if (node.get("synchronizationStatus") or {}).get("waiting") or node.get("message"):
        return "waiting"
    return "progress" if before else "created"


def _counts(command: StartPod) -> bool:
    return not command.daemon and "resource" not in command.template
