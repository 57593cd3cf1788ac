"""Where the pods of a run wait until this machine has room for what they request: cores and memory, then GPUs.

Cores and memory are pools of the store (:mod:`tiphys.queue.machine`), GPUs the devices of the machine. A pod has all it
requests of the first, or nothing, and so have those of a gang together; then it waits for GPUs, so whoever has GPUs
waits for nothing more.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.quantity import quantity
from tiphys.engine.base.loop import Loop
from tiphys.engine.pods.gpus import GpuDesk, counted
from tiphys.engine.pods.lookout import Lookout
from tiphys.errors import StoreError
from tiphys.frozen import frozen
from tiphys.queue.core import Claim, Holding
from tiphys.queue.machine import CORES, MEMORY
from tiphys.queue.permits import Bid, Permits
from tiphys.queue.rules import RulesFile, this_user

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec

__all__ = ["Guest", "Room", "requests"]

_UNITS = {
    CORES: ("cpu", 0.001),
    MEMORY: ("memory", 2.0**20),
}  # pool -> resource, and how much of it a permit is
_FORGOTTEN = 5.0  # seconds after which nobody will come for what a killed engine's pod had


def requests(inits: Sequence[ContainerSpec], others: Sequence[ContainerSpec]) -> dict[str, int]:
    """The permits that a pod requests of each pool. What is no quantity counts as nothing."""
    return {pool: counted(partial(_requested, pool), inits, others) for pool in _UNITS}


def _requested(pool: str, spec: ContainerSpec) -> int:
    if not (resources := spec.get("resources")):
        return 0
    resource, unit = _UNITS[pool]
    given = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.get(resource, 0)
    with contextlib.suppress(ValueError, OverflowError):
        return max(math.ceil(round(quantity(given) / unit, 6)), 0)
    return 0


@frozen
class Guest:
    """Who asks: ``holder`` at the desk of GPUs, ``claim`` in the table of pools, ``shown`` to people; the class and the
    age of the run."""

    holder: str
    claim: str
    shown: str
    priority: int
    created: float


@dataclass(slots=True)
class _Wait:
    guest: Guest
    wants: Mapping[str, int]
    gpus: int
    then: Callable[[], None]
    waiting: Callable[[str], None]
    said: str = ""


class Room:
    """Nothing is looked at before somebody asks. ``heirs`` gives the processes that keep what outlives a killed
    engine."""

    def __init__(
        self, loop: Loop, gpus: GpuDesk, locks: Path, rules: Path, heirs: Callable[[], Iterable[int]]
    ) -> None:
        self.gpus = gpus
        self._loop = loop
        self._locks = locks
        self._rules = RulesFile(rules)
        self._heirs = heirs
        self._waiting: dict[str, _Wait] = {}
        self._claims: dict[str, str] = {}  # by holder
        self._opened: Permits | None = None
        self._lookout = Lookout(loop, self._look)

    def sizes(self) -> dict[str, int]:
        """How much there is of what counts here, in permits; nothing where nobody has said it."""
        there = self._opened is not None or self._locks.exists()
        sizes = {**self._rules().pools, **(self._permits.sizes() if there else {})}
        return {pool: size for pool, size in sizes.items() if pool in _UNITS}

    def counts(self, wants: Mapping[str, int]) -> bool:
        """Whether any of these permits has to be waited for."""
        return any(wants.values()) and any(wants.get(pool) for pool in self.sizes())

    def ask(
        self,
        guest: Guest,
        wants: Mapping[str, int],
        gpus: int,
        then: Callable[[], None],
        waiting: Callable[[str], None],
    ) -> None:
        """Call ``then`` when the guest has what it requests, at once or later; ``waiting`` is told what for.

        Raises as :meth:`tiphys.engine.pods.gpus.GpuDesk.ask`.
        """
        if gpus:
            self.gpus.check(gpus)
        self._waiting[guest.holder] = _Wait(guest, wants, gpus, then, waiting)
        self._try(guest.holder)

    def take_over(self, guest: Guest, wants: Mapping[str, int]) -> None:
        """A pod that a killed engine started has what it had then; also nothing."""
        sizes = self.sizes() if any(wants.values()) else {}
        if (claim := _claim(guest, wants, sizes)) is not None:
            if isinstance(self._permits.ask(Bid(claim, sizes, guest.shown)), Holding):
                self._hold(guest)
            else:
                self._permits.give_back(claim.name)

    def give_back(self, holder: str) -> None:
        """Let go of what a holder has, or of its place in the queue."""
        self.gpus.give_back(holder)
        waited = self._waiting.pop(holder, None)
        claim = self._claims.pop(holder, None) or (waited and waited.guest.claim)
        if claim and self._opened is not None and self._opened.give_back(claim) and self._waiting:
            self._loop.call_soon(self._again)

    def leave(self, holder: str, pid: int) -> None:
        """A holder outlives the run: what it has is its own until the process ``pid`` ends."""
        self.gpus.leave(holder, pid)
        if (claim := self._claims.pop(holder, None)) is not None:
            self._permits.leave(claim, pid)

    def adopt(self, prefix: str, workflow: str) -> None:
        """After a resume: who has this prefix, as a holder, has what it had; what nobody has come for after a while is
        given back. ``workflow``: ``NAMESPACE/NAME``, of which the claims are."""
        self.gpus.adopt(prefix)
        with contextlib.suppress(StoreError):
            if self.sizes():
                self._loop.call_later(_FORGOTTEN, lambda: self._forget(workflow))

    def close(self) -> None:
        """Give everything back."""
        self._lookout.off()
        self._waiting.clear()
        self._claims.clear()
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    # -- inside -----------------------------------------------------------------------------------------------

    @property
    def _permits(self) -> Permits:
        if self._opened is None:
            self._opened = Permits(self._locks, self._rules, self._loop.now)
        return self._opened

    def _try(self, holder: str) -> None:
        wait = self._waiting[holder]
        sizes = self.sizes()
        claim = _claim(wait.guest, wait.wants, sizes)
        if claim is not None:
            answer = self._permits.ask(Bid(claim, sizes, wait.guest.shown))
            if not isinstance(answer, Holding):
                if answer.message != wait.said:
                    wait.said = answer.message
                    wait.waiting(answer.message)
                self._lookout.on(self._permits)
                return
            self._hold(wait.guest)
        del self._waiting[holder]
        if wait.gpus:
            self.gpus.ask(holder, wait.gpus, wait.then, wait.waiting)
        else:
            wait.then()

    def _hold(self, guest: Guest) -> None:
        self._claims[guest.holder] = guest.claim
        for heir in self._heirs():
            self._permits.inherit(heir)

    def _again(self) -> None:
        for holder in list(self._waiting):
            if holder in self._waiting:
                self._try(holder)

    def _look(self) -> bool:
        if self._waiting and self._permits.news():
            self._again()
        return bool(self._waiting)

    def _forget(self, workflow: str) -> None:
        if self._opened is not None:
            self._opened.forsake(workflow)


def _claim(guest: Guest, wants: Mapping[str, int], sizes: Mapping[str, int]) -> Claim | None:
    """What it claims; None: nothing. Who requests more than there is has the machine for itself."""
    wanted = {pool: wants.get(pool, 0) for pool in sorted(sizes)}
    each = tuple(
        (pool, min(count, sizes[pool]) if sizes[pool] else count) for pool, count in wanted.items() if count
    )
    if not each:
        return None
    return Claim(guest.claim, each, user=this_user(), priority=guest.priority, created=guest.created)
