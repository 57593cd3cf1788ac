"""GPUs of a run: how many a pod asks for, which of its containers gets which, and the desk where pods wait for them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tiphys.argo.quantity import quantity
from tiphys.engine.base.loop import Loop
from tiphys.engine.base.options import GpuChoice
from tiphys.engine.pods.lookout import Lookout
from tiphys.engine.runners.base import StartProblem
from tiphys.engine.runners.gpus import Gpu, GpuMachine, chosen
from tiphys.errors import RunError, StoreError
from tiphys.queue.devices import Devices, users_table
from tiphys.queue.pool import Short, Wanted

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import PodSpec
    from tiphys.argo.pod_types import ContainerSpec

__all__ = [
    "GPU",
    "GpuDesk",
    "NoGpus",
    "asked",
    "counted",
    "in_turn",
    "pod_needs",
    "shares",
    "spec_needs",
    "spec_shares",
]

GPU = "nvidia.com/gpu"
# of device plugins that have no stand-in: what they hand out cannot be had here
_OTHERS = (
    "nvidia.com/",
    "amd.com/",
    "gpu.intel.com/",
    "habana.ai/",
    "google.com/tpu",
    "aws.amazon.com/neuron",
)
_FORGOTTEN = 5.0  # seconds after which nobody will come for what a killed engine's pod had


class NoGpus(RunError):
    """A pod asks for devices that it can never have here."""


def asked(spec: ContainerSpec) -> int:
    """How many GPUs a container asks for. Raises NoGpus TIP236 for devices of another kind, StartProblem for a number
    that the API server refuses."""
    if not (resources := spec.get("resources")):
        return 0
    wanted = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    count = 0
    for name, value in wanted.items():
        if not name.startswith(_OTHERS):
            continue
        try:
            number = quantity(value)
        except ValueError:
            number = -1.0
        if number < 0 or number != int(number):
            raise StartProblem(f"resources: {name}: {value!r}: must be an integer", phase="Error")
        if name == GPU:
            count = int(number)
        elif number:
            raise NoGpus(
                "TIP236",
                f"it asks for {name}, and this machine hands out {GPU} alone",
                cause="a device plugin of a cluster makes these; without them the step would run on the CPU",
                fix=f"ask for {GPU} here, or run it on a cluster that has them",
            )
    return count


def pod_needs(inits: Sequence[ContainerSpec], others: Sequence[ContainerSpec]) -> int:
    """How many GPUs a pod asks for. Raises as :func:`asked`."""
    return counted(asked, inits, others)


def counted(
    amount: Callable[[ContainerSpec], int], inits: Sequence[ContainerSpec], others: Sequence[ContainerSpec]
) -> int:
    """What a pod asks for, as the scheduler counts: its init containers run one by one, before the others."""
    return max([sum(map(amount, others)), *map(amount, inits)])


def in_turn(spec: PodSpec) -> tuple[Sequence[ContainerSpec], Sequence[ContainerSpec]]:
    """The init containers of an object's pod, and those that run at once."""
    return spec.get("initContainers") or [], spec.get("containers") or []


def shares(
    gpus: Sequence[Gpu], inits: Sequence[ContainerSpec], others: Sequence[ContainerSpec]
) -> dict[str, tuple[Gpu, ...]]:
    """Which container of a pod has which of the pod's; two that run at once have none in common."""
    found = {str(each.get("name")): tuple(gpus[: asked(each)]) for each in inits}
    at = 0
    for each in others:
        count = asked(each)
        found[str(each.get("name"))] = tuple(gpus[at : at + count])
        at += count
    return found


@dataclass(slots=True)
class _Wait:
    count: int
    then: Callable[[], None]
    waiting: Callable[[str], None]
    said: str = ""


class GpuDesk:
    """Where the pods of a run wait for GPUs. Nothing is looked at before somebody asks.

    ``heir`` gives the process that keeps what outlives a killed engine, 0 where nothing does.
    """

    machine = GpuMachine()
    place = staticmethod(users_table)

    def __init__(self, loop: Loop, choice: GpuChoice, heir: Callable[[], int]) -> None:
        self._loop = loop
        self._choice = choice
        self._heir = heir
        self._waiting: dict[str, _Wait] = {}
        self._has: dict[str, tuple[Gpu, ...]] = {}
        self._earlier: set[str] = set()  # of a killed engine, and nobody has come for it so far
        self._opened: Devices | None = None
        self._lookout = Lookout(loop, self._look)

    @cached_property
    def pool(self) -> tuple[Gpu, ...]:
        """The GPUs that this run may use. Raises RefusedError TIP234 for a choice of some that there are not."""
        return tuple(chosen(self._choice, self.machine.gpus()))

    def check(self, count: int) -> None:
        """Raise NoGpus TIP235 when the run has not so many at all."""
        if count <= len(self.pool):
            return
        there = len(self.machine.gpus())
        limited = f", of {there} that you may use on this machine" if there != len(self.pool) else ""
        raise NoGpus(
            "TIP235",
            f"it asks for {count} of {GPU}, and the run has {len(self.pool) or 'none'}{limited} (--gpus)",
            cause="without them it would run on the CPU, or never",
            fix="ask for fewer, let the run have more (--gpus, CUDA_VISIBLE_DEVICES), or take resources.limits away",
        )

    def ask(self, holder: str, count: int, then: Callable[[], None], waiting: Callable[[str], None]) -> None:
        """Call ``then`` when the holder has all that it asks for, at once or later; ``waiting`` is told what for.

        Raises NoGpus when it never will.
        """
        self.check(count)
        self._earlier.discard(holder)
        self._waiting[holder] = _Wait(count, then, waiting)
        self._try(holder)

    def of(self, holder: str) -> tuple[Gpu, ...]:
        """What a holder has."""
        self._earlier.discard(holder)
        return self._has.get(holder, ())

    def give_back(self, *holders: str) -> None:
        """Let go of what these have, or of their places in the queue."""
        known = [each for each in holders if each in self._has or each in self._waiting]
        for each in known:
            self._has.pop(each, None)
            self._waiting.pop(each, None)
        if known and self._table.give_back(*known) and self._waiting:
            self._loop.call_soon(self._again)

    def leave(self, holder: str, pid: int) -> None:
        """A holder outlives the run: what it has is its own until the process ``pid`` ends."""
        if self._has.pop(holder, ()):
            self._table.leave(holder, pid)

    def adopt(self, prefix: str) -> None:
        """After a resume: the holders with this prefix have what they had; those that do not come for it lose it."""
        with contextlib.suppress(StoreError):
            if not self.place().exists():
                return
            found = self._table.adopt(prefix, heir=self._heir())
            known = {gpu.name: gpu for gpu in self.machine.gpus()} if found else {}
            for holder, names in found.items():
                self._has[holder] = tuple(known.get(name) or Gpu(-1, name, ()) for name in names)
            self._earlier.update(found)
            if found:
                self._loop.call_later(_FORGOTTEN, self._forget)

    def close(self) -> None:
        """Give everything back."""
        self._lookout.off()
        self._waiting.clear()
        self._has.clear()
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    # -- inside -----------------------------------------------------------------------------------------------

    @property
    def _table(self) -> Devices:
        if self._opened is None:
            self._opened = Devices(self.place())
        return self._opened

    def _try(self, holder: str) -> None:
        wait = self._waiting[holder]
        by_name = {gpu.name: gpu for gpu in self.pool}
        answer = self._table.take(Wanted(holder, wait.count, tuple(by_name)), heir=self._heir())
        if not isinstance(answer, Short):
            del self._waiting[holder]
            self._has[holder] = tuple(by_name[name] for name in answer)
            wait.then()
            return
        text = _shortage(wait.count, len(self.pool), answer)
        if text != wait.said:
            wait.said = text
            wait.waiting(text)
        self._lookout.on(self._table)

    def _again(self) -> None:
        for holder in list(self._waiting):
            if holder in self._waiting:
                self._try(holder)

    def _look(self) -> bool:
        if self._waiting and self._table.news():
            self._again()
        return bool(self._waiting)

    def _forget(self) -> None:
        if self._opened is not None:
            self.give_back(*self._earlier)
        self._earlier.clear()


def _shortage(count: int, pool: int, short: Short) -> str:
    """The scheduler's words for a pod that no node has room for, and what they leave out."""
    before = f", {short.before} before it" if short.before else ""
    told = f"asks for {count} of {pool}, {short.free} free{before}"
    return f"Unschedulable: 0/1 nodes are available: 1 Insufficient {GPU} ({told})"


def spec_needs(spec: PodSpec) -> int:
    """:func:`pod_needs` of the pod of an object."""
    return pod_needs(*in_turn(spec))


def spec_shares(gpus: Sequence[Gpu], spec: PodSpec) -> Mapping[str, tuple[Gpu, ...]]:
    """:func:`shares` of the pod of an object."""
    return shares(gpus, *in_turn(spec))
