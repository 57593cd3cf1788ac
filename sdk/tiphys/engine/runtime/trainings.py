"""Trainings whose number of workers may change while they go on: the driver's side of it.

What the queue has decided is in its table: so many permits now, fewer from the next backup on, or none. Here the job is
ended at that backup and begun again with another number of workers. Of a kill at any moment the table and the job's
manifest tell the next engine enough: the manifest is written first where there are to be fewer workers, so none runs
without its permit for longer than it takes to see it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tiphys.argo.pools import Weight
from tiphys.engine.machine.protocol import Event, PodSays, StartPod
from tiphys.engine.objects import Controllers, ResourcePod
from tiphys.engine.objects.tfjob import TFJobController
from tiphys.engine.pods.host import Host
from tiphys.engine.runtime.leaves import Pod
from tiphys.engine.runtime.locks import Synchronizer
from tiphys.queue.core import Holding
from tiphys.queue.permits import Queued

__all__ = ["PATIENCE", "Trainings"]

PATIENCE = (
    600.0  # seconds for a backup of one that is to give something back; one that may grow has all its time
)


@dataclass(slots=True)
class _Training:
    node_id: str
    holder: str
    weight: Weight
    pod: ResourcePod
    said: str = ""
    settled: float = 0.0  # since when it had what it has when it was asked whether it may grow


class Trainings:
    """Those of one run. ``commit`` writes down what became of the jobs."""

    def __init__(
        self,
        host: Host,
        emit: Callable[[Event], None],
        locks: Synchronizer,
        resources: Controllers,
        commit: Callable[[], None],
    ) -> None:
        self._host = host
        self._emit = emit
        self._locks = locks
        self._resources = resources
        self._commit = commit
        self._running: dict[str, _Training] = {}
        locks.watch = self._look

    def workers(self, command: StartPod) -> Callable[[], int] | None:
        """What says with how many workers the job of a step starts (0: not yet); None: with those of its manifest."""
        holder, weight = command.holder, self._locks.elastic(command.holder)
        return None if weight is None else lambda: self._units(holder, weight)

    def enter(self, command: StartPod, pod: Pod) -> None:
        """A step begins."""
        weight = self._locks.elastic(command.holder)
        if weight is not None and isinstance(pod, ResourcePod):
            self._running[command.node_id] = _Training(command.node_id, command.holder, weight, pod)
            self._locks.look_on(quick=True)

    def leave(self, node_id: str) -> None:
        """It has ended."""
        self._running.pop(node_id, None)

    # -- inside -----------------------------------------------------------------------------------------------

    def _units(self, holder: str, weight: Weight) -> int:
        """What one may have that has no workers now."""
        held = self._locks.held(holder)
        if held is not None and held.keeps is not None:
            self._locks.resize(holder, held.keeps)
        answer = self._locks.ask_again(holder)
        return self._used(holder, weight, answer.units) if isinstance(answer, Holding) else 0

    def _used(self, holder: str, weight: Weight, units: int) -> int:
        """How many workers so many permits are; those that are no use are given back."""
        if (workers := weight.fit(units)) < units:
            self._locks.resize(holder, workers)
        return workers

    def _look(self) -> bool:
        for each in list(self._running.values()):
            job = each.pod.job
            if job is None or job.over:
                continue
            if job.paused:
                self._go_on(each, job)
            elif (held := self._locks.held(each.holder)) is not None:
                self._follow(each, job, held)
        return bool(self._running)

    def _follow(self, each: _Training, job: TFJobController, held: Holding) -> None:
        """Have a job that runs go where the queue wants it."""
        has = job.workers
        if held.keeps is not None and held.keeps >= has:  # it has not begun yet with what it is to give back
            self._locks.resize(each.holder, held.keeps)
        wanted = each.weight.fit(held.later)
        if has == wanted:
            self._used(each.holder, each.weight, held.later)
        if has > held.units:
            job.pause(0.0)
        elif wanted < has:
            job.pause(PATIENCE)
        elif wanted > has:
            job.pause(None)
        else:
            job.unpause()
            if has < each.weight.permits and each.settled != held.since:
                each.settled = self._locks.settle(held)
        self._say(each, f"{has} of {_range(each.weight)} workers{_then(has, wanted)}")

    def _go_on(self, each: _Training, job: TFJobController) -> None:
        """Begin anew, with what there is, a job whose workers have all ended."""
        held = self._locks.held(each.holder)
        if held is not None and held.keeps == 0:
            self._resources.scale(job, 0)
            self._commit()
            self._locks.resize(each.holder, 0)
        answer = self._locks.ask_again(each.holder)
        if isinstance(answer, Holding):
            if answer.later:  # else it was told to end again before it began
                self._begin(each, job, each.weight.fit(answer.later))
        else:
            why = answer.message if isinstance(answer, Queued) else "the run is suspended"
            self._say(each, f"none of {_range(each.weight)} workers: {why}")

    def _begin(self, each: _Training, job: TFJobController, workers: int) -> None:
        self._resources.scale(job, workers)
        self._commit()
        held = self._locks.held(each.holder)
        if held is not None and (held.keeps is not None or held.units > workers):
            self._locks.resize(each.holder, workers)
        job.begin()
        self._say(each, f"{workers} of {_range(each.weight)} workers")

    def _say(self, each: _Training, text: str) -> None:
        if text != each.said:
            each.said = text
            self._emit(PodSays(self._host.loop.now(), each.node_id, text))


def _range(weight: Weight) -> str:
    if weight.counts:
        return f"{', '.join(map(str, weight.counts[:-1]))} or {weight.permits}"
    return f"{weight.least}-{weight.permits}"


def _then(has: int, wanted: int) -> str:
    """What becomes of it at its next backup."""
    if wanted > has:
        return f", growing to {wanted} at the next backup"
    if not wanted:
        return ", to end at the next backup and wait: others come first"
    return f", going on with {wanted} from the next backup on" if wanted < has else ""
