"""Semaphores and mutexes of a run: the driver's side of ``AcquireLocks`` and ``ReleaseLocks``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from tiphys.engine.base.loop import Timer
from tiphys.engine.machine.protocol import AcquireLocks, Event, LocksGranted, LocksRefused, LocksWaiting
from tiphys.engine.pods.host import Host
from tiphys.expr.gotext import atoi
from tiphys.queue import Granted, Locks, Outcome, Waiting
from tiphys.queue.table import LOOK_AGAIN

__all__ = ["Synchronizer"]


@dataclass(slots=True)
class _Wait:
    command: AcquireLocks
    message: str = ""


class Synchronizer:
    """Keeps the queue of this run's waiting nodes; ``emit`` takes the answers."""

    def __init__(self, host: Host, emit: Callable[[Event], None]) -> None:
        self._host = host
        self._emit = emit
        self._waiting: dict[str, _Wait] = {}
        self._timer: Timer | None = None
        self._opened: Locks | None = None
        self._known: dict[str, int] = {}  # the last limit seen of each semaphore

    def acquire(self, command: AcquireLocks) -> None:
        """Take all locks or wait; refuses a semaphore whose limit is not known."""
        limits = self._limits(command)
        for name, limit in limits.items():
            if not limit:
                problem = f"failed to initialize semaphore {name} with limit"
                self._emit(LocksRefused(self._host.loop.now(), command.node_id, problem))
                return
        self._waiting[command.node_id] = _Wait(command)
        self._try(command.node_id, limits)

    def release(self, node_id: str) -> None:
        """Give a node's locks back and let the next ones have them."""
        self._waiting.pop(node_id, None)
        if self._table.release(self._holder(node_id)):
            self._host.loop.call_soon(self._again)

    def reacquire(self, command: AcquireLocks) -> bool:
        """Take back what a killed engine held, without an event; False when somebody else has it now."""
        return isinstance(self._attempt(command, self._limits(command)), Granted)

    def forget(self, nodes: Collection[str]) -> None:
        """After a resume: nodes that gave their locks back, which a killed engine may not have written down."""
        if nodes:
            self._table.release(*map(self._holder, nodes))

    def close(self) -> None:
        """Give back what this run holds or waits for; others of this process go on with theirs."""
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    # -- inside -----------------------------------------------------------------------------------------------

    @property
    def _table(self) -> Locks:
        """The lock table that all engines on this store share; opened by the first who needs it."""
        if self._opened is None:
            self._opened = Locks(self._host.store.locks)
        return self._opened

    def _again(self) -> None:
        for node_id in list(self._waiting):
            if node_id in self._waiting:
                self._try(node_id, self._limits(self._waiting[node_id].command))

    def _try(self, node_id: str, limits: Mapping[str, int]) -> None:
        wait = self._waiting[node_id]
        outcome = self._attempt(wait.command, limits)
        now = self._host.loop.now()
        if isinstance(outcome, Granted):
            del self._waiting[node_id]
            self._emit(LocksGranted(now, node_id))
            return
        if isinstance(outcome, Waiting):
            if outcome.message != wait.message:
                wait.message = outcome.message
                self._emit(LocksWaiting(now, node_id, outcome.message, outcome.lock))
            if self._timer is None:
                self._timer = self._host.loop.call_later(LOOK_AGAIN, self._tick)
            return
        del self._waiting[node_id]
        self._emit(LocksRefused(now, node_id, outcome.message))

    def _tick(self) -> None:
        self._timer = None
        if self._table.news():
            self._again()
        elif self._waiting:
            self._timer = self._host.loop.call_later(LOOK_AGAIN, self._tick)

    def _attempt(self, command: AcquireLocks, limits: Mapping[str, int]) -> Outcome:
        """Ask for the locks. What is held is held as long as the steps live, which may outlive this process."""
        outcome = self._table.acquire(
            self._holder(command.node_id),
            command.locks,
            workflow=f"{self._host.namespace}/{self._host.workflow}",
            limits=limits,
            priority=command.priority,
            created=command.created,
        )
        if isinstance(outcome, Granted) and self._host.left is not None:
            for keeper in self._host.spawner.keepers:
                self._table.inherit(keeper)
        return outcome

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
            data = self._host.objects.configmap(rest[0]) or {}
            limit = atoi(data.get(rest[-1], b"").decode(errors="replace"))
        if limit is not None:
            self._known[name] = limit
        return self._known.get(name, 0)
