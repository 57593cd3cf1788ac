"""How the jobs of the service stand, in memory: who waits, who runs, what they have, and what their users have used.

The disk has the jobs themselves; all of this can be made again from them. Who calls holds the service's lock.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from tiphys.queue.core import QueueState
from tiphys.queue.rules import Rules
from tiphys.training.dispatch import Backlog, in_order, next_jobs, queue_state, used_until, why_waiting
from tiphys.training.job import ENDED, JobState, TrainingJob
from tiphys.training.pools import TrainingPool, TrainingPools

__all__ = ["Standing"]

_FRESH = 0.5  # seconds for which a look at the queue is good enough for who asks for a place in it

Kind = tuple[str, tuple[tuple[str, int], ...]]


class _Snapshot(NamedTuple):
    """The queue as it was at a moment, and the places in it."""

    at: float
    state: QueueState
    places: Mapping[int, int]


class Standing:
    """``pools`` and ``rules``: as they are now. ``used``: what :meth:`usage` gave."""

    def __init__(
        self,
        pools: Callable[[], TrainingPools],
        rules: Callable[[], Rules],
        used: str,
        clock: Callable[[], float],
    ) -> None:
        self._pools, self._rules, self._clock = pools, rules, clock
        self.queued: dict[int, TrainingJob] = {}
        self.active: dict[int, TrainingJob] = {}
        self._demands: dict[int, Mapping[str, int]] = {}
        self._kinds: Counter[Kind] = Counter()  # of those who wait: pool, and what each wants
        said = json.loads(used or "{}")
        self._used: dict[str, float] = said.get("used", {})
        self._used_at: float = said.get("at", 0.0)
        self._changed = True
        self._snapshot = _Snapshot(float("-inf"), QueueState({}), {})

    def put(self, job: TrainingJob, wants: Mapping[str, int] | None = None) -> None:
        """A job as it stands now. ``wants``: what it has at once, when it comes."""
        if wants is not None:
            self._demands[job.id] = wants
        if (was := self.queued.pop(job.id, None)) is not None:
            self._kinds[self._kind(was)] -= 1
        self.active.pop(job.id, None)
        self._changed = True
        if job.state in ENDED:
            self._demands.pop(job.id, None)
        elif job.state is JobState.queuing:
            self.queued[job.id] = job
            self._kinds[self._kind(job)] += 1
        else:
            self.active[job.id] = job

    def wants(self, number: int) -> Mapping[str, int]:
        """What a job has at once, as :func:`tiphys.training.workflow.demand` counts it."""
        return self._demands.get(number, {})

    def used(self, pool: str) -> dict[str, int]:
        """What the jobs of a pool have that were begun."""
        found: Counter[str] = Counter()
        for job in self.active.values():
            if job.pool == pool:
                found.update(self.wants(job.id))
        return dict(found)

    def next(self, without: Collection[int]) -> list[int]:
        """The jobs that may begin now, in order."""
        return next_jobs(self._backlog(), self._clock(), without=without) if self._may_fit() else []

    def place(self, number: int) -> int:
        """How many are to begin before it, and itself, as it was a moment ago; 0 for one that does not wait."""
        return self._now(number).places.get(number, 0) if number in self.queued else 0

    def why(self, number: int) -> str:
        """Why it waits."""
        told = why_waiting(self._now(number).state, number, self._clock())
        if not told and self._changed:  # there was room a moment ago
            self._snapshot = _Snapshot(float("-inf"), QueueState({}), {})
            told = why_waiting(self._now(number).state, number, self._clock())
        return told

    def use(self) -> None:
        """Count what those who run have used since the last time."""
        now = self._clock()
        shares = self._rules().shares(self._used, self._used_at or now)
        running = Backlog(self._pools().pools, (), [*self.active.values()], self._demands, shares)
        shares = used_until(running, now)
        self._used, self._used_at = dict(shares.used), now

    def usage(self) -> str:
        """What was used, to be kept."""
        return json.dumps({"used": self._used, "at": self._used_at})

    def _kind(self, job: TrainingJob) -> Kind:
        return job.pool, tuple(self.wants(job.id).items())

    def _may_fit(self) -> bool:
        """Whether somebody who waits wants no more than his pool has free: who has no room is not put in order."""
        pools = self._pools().pools
        free: dict[str, dict[str, int]] = {}
        for (name, wants), count in self._kinds.items():
            pool = pools.get(name)
            if not count or pool is None:
                continue
            left = free.get(name)
            if left is None:
                left = free[name] = _free(pool, self.used(name))
            if all(amount <= left.get(resource, amount) for resource, amount in wants):
                return True
        return False

    def _backlog(self) -> Backlog:
        shares = self._rules().shares(self._used, self._used_at)
        return Backlog(
            self._pools().pools, [*self.queued.values()], [*self.active.values()], self._demands, shares
        )

    def _now(self, number: int) -> _Snapshot:
        """The queue, as it was a moment ago at most, with this job in it."""
        found, now = self._snapshot, self._clock()
        stale = self._changed and now - found.at > _FRESH
        if stale or (number in self.queued and number not in found.places):
            state = queue_state(self._backlog(), now)
            found = self._snapshot = _Snapshot(now, state, in_order(state, now))
            self._changed = False
        return found


def _free(pool: TrainingPool, used: Mapping[str, int]) -> dict[str, int]:
    return {resource: size - used.get(resource, 0) for resource, size in pool.sizes.items()}
