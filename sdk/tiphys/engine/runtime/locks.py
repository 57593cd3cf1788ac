"""Semaphores and mutexes of a run: the driver's side of ``AcquireLocks`` and ``ReleaseLocks``.

Semaphores that the workflow says are the project's pools (:mod:`tiphys.argo.pools`) are asked of the table of permits,
all others of that of locks, in Argo's order. A step that wants of both has all or nothing, too: while it waits for the
one it holds nothing of the other, and only its place, which is its workflow's creation, is kept.

A run that is suspended waits for nothing: it has left all queues, and is back in its places when it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tiphys.argo.pools import Weight, weight_of
from tiphys.engine.machine.protocol import AcquireLocks, Event, LocksGranted, LocksRefused, LocksWaiting
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.lookout import Lookout
from tiphys.engine.runtime.kept import KeptConfigMaps
from tiphys.errors import RunError
from tiphys.expr.gotext import atoi
from tiphys.queue import Granted, Locks, Outcome, Refused, Waiting
from tiphys.queue.core import Claim, Holding
from tiphys.queue.permits import Bid, Permits, Queued
from tiphys.queue.rules import RulesFile, this_user

__all__ = ["Synchronizer"]


@dataclass(slots=True)
class _Wait:
    command: AcquireLocks
    message: str = ""


@dataclass(slots=True)
class _Kind:
    """Nodes that wait for the same locks: when one has to go on waiting, so have all. ``limits``: when they asked."""

    waiting: dict[str, _Wait] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)


class Synchronizer:
    """Keeps the queue of this run's waiting nodes; ``emit`` takes the answers.

    ``weights``: the semaphores that are pools, by ``CONFIGMAP/KEY``. ``suspended`` tells whether the run is.
    """

    def __init__(
        self,
        host: Host,
        emit: Callable[[Event], None],
        weights: Mapping[str, Weight],
        suspended: Callable[[], bool],
    ) -> None:
        self._host = host
        self._emit = emit
        self._weights = weights
        self._suspended = suspended
        self._waiting: dict[str, _Kind] = {}  # by node
        self._kinds: dict[tuple[str, ...], _Kind] = {}  # by locks
        self._lookout = Lookout(host.loop, self._look)
        self._opened: Locks | None = None
        self._opened_permits: Permits | None = None
        self._kept = KeptConfigMaps(host.store)
        self._known: dict[str, int] = {}  # the last limit seen of each semaphore
        # nodes that hold, or will, and can do with less
        self._elastic: dict[str, tuple[Bid, Weight]] = {}
        self.watch: Callable[[], bool] | None = None  # told at each look; whether it goes on looking

    def acquire(self, command: AcquireLocks) -> None:
        """Take all locks or wait; refuses a semaphore whose limit is not known."""
        limits = self._limits(command)
        for name, limit in limits.items():
            if not limit:
                problem = f"failed to initialize semaphore {name} with limit"
                self._emit(LocksRefused(self._host.loop.now(), command.node_id, problem))
                return
        kind = self._waiting[command.node_id] = self._kinds.setdefault(command.locks, _Kind(limits=limits))
        kind.waiting[command.node_id] = _Wait(command)
        self._try(command.node_id, limits)

    def release(self, node_id: str) -> None:
        """Give a node's locks back and let the next ones have them."""
        self._leave(node_id)
        self._elastic.pop(node_id, None)
        if self._free(self._holder(node_id)):
            self._host.loop.call_soon(self._again)

    def reacquire(self, command: AcquireLocks) -> bool:
        """Take back what a killed engine held, without an event; False when somebody else has it now."""
        return isinstance(self._attempt(command, self._limits(command), had=True), Granted)

    def elastic(self, node_id: str) -> Weight | None:
        """What a node asked for, if it can do with less than the most of it."""
        asked = self._elastic.get(node_id)
        return None if asked is None else asked[1]

    def held(self, node_id: str) -> Holding | None:
        """What such a node has now."""
        return self._permits.view().holding.get(self._holder(node_id))

    def resize(self, node_id: str, units: int) -> None:
        """Such a node goes on with fewer units; 0: it asks once more."""
        self._permits.resize(self._holder(node_id), units)
        self._host.loop.call_soon(self._again)

    def ask_again(self, node_id: str) -> Holding | Queued | None:
        """For one that has ended at a backup: what it goes on with, or why it waits; None while the run is suspended,
        which waits for nothing."""
        if self._suspended():
            if (held := self.held(node_id)) is None:
                self._permits.give_back(self._holder(node_id))
            return held
        answer = self._permits.ask(self._elastic[node_id][0], had=True)
        assert not isinstance(answer, RunError)
        return answer

    def settle(self, held: Holding) -> float:
        """Have it decided whether one may grow who has had for long enough what it has. Returns since when it has."""
        if self._host.loop.now() - held.since < self._permits.view().state.settled:
            return 0.0
        self._permits.settle()
        return held.since

    def look_on(self, *, quick: bool | None = None) -> None:
        """Look at the tables again and again, as long as somebody waits or :attr:`watch` says so."""
        self._lookout.on(*self._tables(), quick=quick)

    def forget(self, nodes: Collection[str]) -> None:
        """After a resume: nodes that gave their locks back, which a killed engine may not have written down."""
        if nodes:
            self._free(*map(self._holder, nodes))

    def suspended_or_resumed(self) -> None:
        """Leave all queues, or ask anew."""
        if not self._suspended():
            self._again()
        elif self._waiting:
            self._free(*map(self._holder, self._waiting))

    def close(self) -> None:
        """Give back what this run holds or waits for; others of this process go on with theirs."""
        self._lookout.off()
        self._waiting.clear()
        self._kinds.clear()
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        if self._opened_permits is not None:
            self._opened_permits.close()
            self._opened_permits = None

    # -- inside -----------------------------------------------------------------------------------------------

    @property
    def _table(self) -> Locks:
        """The lock table that all engines on this store share; opened by the first who needs it."""
        if self._opened is None:
            self._opened = Locks(self._host.store.locks)
        return self._opened

    @property
    def _permits(self) -> Permits:
        """The table of pools, likewise."""
        if self._opened_permits is None:
            self._opened_permits = Permits(
                self._host.store.locks, RulesFile(self._host.store.queue_rules), self._host.loop.now
            )
        return self._opened_permits

    def _free(self, *holders: str) -> bool:
        """Give back what they have in both tables; whether they had something."""
        locks = self._table.release(*holders)
        return (bool(self._weights) and self._permits.give_back(*holders)) or locks

    def _leave(self, node_id: str) -> None:
        """It waits no more."""
        kind = self._waiting.pop(node_id, None)
        if kind is not None:
            del kind.waiting[node_id]

    def _again(self) -> None:
        """Ask anew, of each kind until one has to go on waiting: a thousand nodes may wait for one lock."""
        granted = self._opened_permits.granted() if self._opened_permits is not None else ()
        prefix = f"{self._holder('')}/"
        for holder in granted:
            if (node_id := holder.removeprefix(prefix)) in self._waiting:
                self._try(node_id, self._waiting[node_id].limits)
        for locks, kind in list(self._kinds.items()):
            if kind.waiting:
                self._ask_kind(kind)
            if not kind.waiting:
                self._kinds.pop(locks, None)

    def _ask_kind(self, kind: _Kind) -> None:
        first = next(iter(kind.waiting.values()))
        limits = self._limits(first.command)
        pools = [weight_of(lock, self._weights) is not None for lock in first.command.locks]
        both = any(pools) and not all(pools)  # each may get of the one what another waits for of the other
        if limits != kind.limits or both:
            kind.limits = limits
            for node_id in list(kind.waiting):
                self._try(node_id, limits)
            return
        told = first.message
        while kind.waiting:
            node_id, wait = next(iter(kind.waiting.items()))
            if not self._try(node_id, limits):
                if wait.message != told:
                    for other in list(kind.waiting)[1:]:
                        self._try(other, limits)
                return

    def _try(self, node_id: str, limits: Mapping[str, int]) -> bool:
        """Whether it waits no more."""
        if self._suspended():
            return False
        wait = self._waiting[node_id].waiting[node_id]
        outcome = self._attempt(wait.command, limits)
        now = self._host.loop.now()
        if isinstance(outcome, Granted):
            self._leave(node_id)
            self._emit(LocksGranted(now, node_id))
            return True
        if isinstance(outcome, Waiting):
            if outcome.message != wait.message:
                wait.message = outcome.message
                self._emit(LocksWaiting(now, node_id, outcome.message, outcome.lock))
            self.look_on()
            return False
        self._leave(node_id)
        self._emit(LocksRefused(now, node_id, outcome.message))
        return True

    def _tables(self) -> list[Locks | Permits]:
        return [each for each in (self._opened, self._opened_permits) if each is not None]

    def _look(self) -> bool:
        news = [each.news() for each in self._tables()]  # of both, whatever the first says
        if any(news) or self._kept.changed():
            self._again()
        watches = self.watch is not None and self.watch()
        if self._waiting or watches:
            self.look_on(quick=watches)
        return bool(self._waiting) or watches

    def _attempt(self, command: AcquireLocks, limits: Mapping[str, int], *, had: bool = False) -> Outcome:
        """Ask for all, or nothing."""
        holder = self._holder(command.node_id)
        pools = {
            lock: weight
            for lock in command.semaphores
            if (weight := weight_of(lock, self._weights)) is not None
        }
        locks = [lock for lock in command.locks if lock not in pools]
        outcome: Outcome = self._lock(command, holder, locks, limits) if locks else Granted()
        if not pools:
            return outcome
        if not isinstance(outcome, Granted):
            self._permits.give_back(holder)
            return outcome
        bid = self._bid(command, holder, pools, limits)
        if bid.claim.least < bid.claim.most:
            self._elastic[command.node_id] = bid, next(iter(pools.values()))
        answer = self._permits.ask(bid, had=had)
        if isinstance(answer, Holding):
            self._bequeath(self._permits)
            return outcome
        if locks:
            self._table.release(holder)
        if isinstance(answer, RunError):
            self._host.notice(answer)
            return Refused(f"{answer.code}: {answer.message}")
        waited = next(lock for lock, weight in pools.items() if weight.pool == answer.pool)
        return Waiting(waited, answer.message)

    def _lock(
        self, command: AcquireLocks, holder: str, locks: Sequence[str], limits: Mapping[str, int]
    ) -> Outcome:
        outcome = self._table.acquire(
            holder,
            locks,
            workflow=f"{self._host.namespace}/{self._host.workflow}",
            limits=limits,
            priority=command.priority,
            created=command.created,
        )
        if isinstance(outcome, Granted):
            self._bequeath(self._table)
        return outcome

    def _bequeath(self, table: Locks | Permits) -> None:
        """What is held is held as long as the steps live, which may outlive this process."""
        if self._host.left is not None:
            for keeper in self._host.spawner.keepers:
                table.inherit(keeper)

    def _bid(
        self,
        command: AcquireLocks,
        holder: str,
        pools: Mapping[str, Weight],
        limits: Mapping[str, int],
    ) -> Bid:
        wanted: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for lock, weight in pools.items():
            wanted[weight.pool] = wanted.get(weight.pool, 0) + weight.permits
            # the ConfigMap may have another limit by now than the one that was compiled
            compiled = limits[lock] == weight.size // weight.permits
            sizes[weight.pool] = weight.size if compiled else limits[lock] * weight.permits
        least = most = 1
        if len(pools) == 1 and (only := next(iter(pools.values()))).least:  # each of its workers is a permit
            wanted, least, most = {only.pool: 1}, only.least, only.permits
        claim = Claim(
            holder,
            tuple(sorted(wanted.items())),
            user=this_user(),
            priority=command.priority,
            created=command.created,
            least=least,
            most=most,
            preemptible=least < most,
            within=self._holder(command.within) if command.node_id else "",
        )
        return Bid(claim, sizes, command.node_name)

    def _holder(self, node_id: str) -> str:
        workflow = f"{self._host.namespace}/{self._host.workflow}"
        return f"{workflow}/{node_id}" if node_id else workflow

    def _limits(self, command: AcquireLocks) -> dict[str, int]:
        return {name: self._limit(name) for name in command.semaphores}

    def _limit(self, name: str) -> int:
        """The limit of a semaphore now; when it is gone, the last one that this run knew, as in the controller."""
        namespace, kind, *rest = name.split("/", 3)
        if kind == "Database":
            limit = self._table.limit("/".join((namespace, *rest)))
        else:
            limit = atoi(self._said(rest[0], rest[-1]))
        if limit is not None:
            self._known[name] = limit
        return self._known.get(name, 0)

    def _said(self, name: str, key: str) -> str:
        """What a ConfigMap has under a key; one that a server kept when the run was submitted, as it keeps it now."""
        given = self._host.objects.raw("ConfigMap", name) or {}
        if (given.get("metadata") or {}).get("uid") and (now := self._kept.data(name)) is not None:
            return now.get(key, "")
        return (self._host.objects.configmap(name) or {}).get(key, b"").decode(errors="replace")
