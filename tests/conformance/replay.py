"""A driver without processes: pods end as the real controller recorded it, in virtual time.

What the core adds to that (which nodes exist, their phases, messages, edges, inputs, the outputs of Steps and DAGs, the
workflow's phase) is then compared with the record.
"""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.machine import Machine
from tiphys.expr.gojson_scan import syntax_error

Json = Any
NAME = "WF"


class Locks:
    """Semaphores and mutexes of one workflow's holders, first come first served."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limits = limits
        self.held: dict[str, list[str]] = {}
        self.queue: list[p.AcquireLocks] = []

    def limit(self, lock: str) -> int | None:
        return 1 if "/Mutex/" in lock else self.limits.get(lock)

    def free(self, lock: str) -> int:
        return (self.limit(lock) or 0) - len(self.held.get(lock, []))

    def ask(self, command: p.AcquireLocks, now: float) -> list[p.Event]:
        for lock in command.locks:
            if not self.limit(lock):
                return [
                    p.LocksRefused(now, command.node_id, f"failed to initialize semaphore {lock} with limit")
                ]
        self.queue.append(command)
        return self.grant(now) or self.tell(command, now)

    def tell(self, command: p.AcquireLocks, now: float) -> list[p.Event]:
        lock = next((lock for lock in command.locks if self.free(lock) <= 0), command.locks[0])
        message = f"Waiting for {lock} lock. Lock status: {self.free(lock)}/{self.limit(lock)}"
        return [p.LocksWaiting(now, command.node_id, message, lock)]

    def grant(self, now: float) -> list[p.Event]:
        granted: list[p.Event] = []
        for command in list(self.queue):
            if all(self.free(lock) > 0 for lock in command.locks):
                self.queue.remove(command)
                for lock in command.locks:
                    self.held.setdefault(lock, []).append(command.node_id)
                granted.append(p.LocksGranted(now, command.node_id))
        return granted

    def release(self, node_id: str, now: float) -> list[p.Event]:
        self.queue = [command for command in self.queue if command.node_id != node_id]
        for holders in self.held.values():
            while node_id in holders:
                holders.remove(node_id)
        return self.grant(now)


Answer = Callable[[p.StartPod], tuple[float, p.PodFinished]]


class Replay:
    """Runs a machine against answers given by ``pod``: (seconds, how it ends)."""

    def __init__(
        self,
        machine: Machine,
        pod: Answer,
        *,
        limits: Mapping[str, int] | None = None,
        cache: dict[tuple[str, str], Json] | None = None,
        actions: list[tuple[Callable[[Machine], bool], p.Event]] | None = None,
        caches: Iterable[Mapping[str, Json]] = (),
        start: float = 1_000_000_000.0,
        steps: int = 200_000,
    ) -> None:
        self.machine = machine
        self.pod = pod
        self.locks = Locks(limits or {})
        self.cache = cache if cache is not None else {}
        self.given = {item["metadata"]["name"]: item for item in caches if item.get("kind") == "ConfigMap"}
        self.actions = list(actions or [])
        self.events: list[tuple[float, int, p.Event]] = []
        self.counter = itertools.count()
        self.now = start
        self.steps = steps
        self.stopped: dict[str, p.PodFinished] = {}
        self.live: dict[str, p.PodFinished] = {}
        self.history: list[p.Event] = []
        self.progress: dict[str, str] = {}

    def push(self, at: float, event: p.Event) -> None:
        heapq.heappush(self.events, (at, next(self.counter), event))

    def run(self) -> Machine:
        machine = self.machine
        self._do(p.Begin(self.now))
        while not machine.done:
            if self.actions and self.actions[0][0](machine):
                self._do(self.actions.pop(0)[1])
                continue
            if not self.events:
                waiting = [
                    n for n in machine.nodes.values() if n["type"] == "Suspend" and n["phase"] == "Running"
                ]
                if waiting and not self.actions:
                    self._do(p.Resume(self.now))
                    continue
                break
            at, _, event = heapq.heappop(self.events)
            self.now = max(self.now, at)
            if isinstance(event, p.PodFinished) and self.live.pop(event.node_id, None) is None:
                continue
            self._handle(event)
            self.steps -= 1
            if self.steps < 0:
                raise RuntimeError("the workflow does not end")
        return machine

    def _do(self, event: p.Event) -> None:
        from dataclasses import replace

        self._handle(replace(event, now=self.now))

    def _handle(self, event: p.Event) -> None:
        from dataclasses import replace

        event = replace(event, now=self.now)
        self.history.append(event)
        for command in self.machine.handle(event):
            self._carry_out(command)

    def _entry(self, command: p.LookupCache) -> tuple[Json, str]:
        """What a cache that was given with the workflow holds, in the words of the controller."""
        known = self.cache.get((command.cache_name, command.key))
        given = self.given.get(command.cache_name)
        if known is not None or given is None:
            return known, ""
        label = "workflows.argoproj.io/configmap-type"
        if (given["metadata"].get("labels") or {}).get(label) != "Cache":
            return None, f"memoization configmap doesn't have {label} label, refusing to use it"
        text = (given.get("data") or {}).get(command.key)
        problem = syntax_error(text) if text is not None else ""
        if problem:
            words = "malformed cache entry: could not unmarshal JSON; unable to parse"
            return None, f"{words}: {problem}"
        return (json.loads(text) if text is not None else None), ""

    def _carry_out(self, command: p.Command) -> None:
        now = self.now
        if isinstance(command, p.StartPod):
            seconds, end = self.pod(command)
            self.live[command.node_id] = end
            lost = command.daemon and end.phase != "Succeeded"  # it was never ready
            if not lost:
                self.push(now, p.PodRunning(now, command.node_id, "IP" if command.daemon else ""))
            if command.node_name in self.progress:
                self.push(now, p.PodProgress(now, command.node_id, self.progress[command.node_name]))
            if not command.daemon or lost:
                if command.deadline is not None and now + seconds > command.deadline:
                    end = p.PodFinished(now, command.node_id, "Failed", command.deadline_message, end.outputs)
                    self.live[command.node_id] = end
                    seconds = command.deadline - now
                self.push(now + seconds, end)
        elif isinstance(command, p.StopPod):
            if command.node_id in self.live:
                self.push(now, self.live[command.node_id])
        elif isinstance(command, p.LookupCache):
            entry, problem = self._entry(command)
            self.push(now, p.CacheAnswer(now, command.node_id, entry, problem))
        elif isinstance(command, p.StoreCache):
            from tiphys.argo.time import rfc3339

            self.cache[(command.cache_name, command.key)] = {
                "nodeID": command.node_id,
                "outputs": command.outputs,
                "creationTimestamp": rfc3339(now),
            }
            self.push(now, p.CacheStored(now, command.node_id))
        elif isinstance(command, p.AcquireLocks):
            for event in self.locks.ask(command, now):
                self.push(now, event)
        elif isinstance(command, p.ReleaseLocks):
            for event in self.locks.release(command.node_id, now):
                self.push(now, event)
        elif isinstance(command, p.SetTimer):
            self.push(command.at, p.TimerFired(command.at, command.token))
