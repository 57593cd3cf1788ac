"""Which job begins next: pure, by the one rule of :mod:`tiphys.queue.core`.

A job is a claim on what its pool counts (jobs, cores, memory, devices); of one class the user comes first who has used
less of what is owed to him. What a pool does not count it has enough of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from tiphys.queue import core
from tiphys.queue.core import Admit, Claim, Holding, PermitPool, QueueState
from tiphys.queue.shares import Shares
from tiphys.training.job import TrainingJob
from tiphys.training.pools import TrainingPool

__all__ = ["Backlog", "in_order", "next_jobs", "queue_state", "used_until", "why_waiting"]

_MANY = 2**31 - 1
_PRICES = {"cpu": 0.001, "nvidia.com/gpu": 8.0}  # of a permit for a second: a core is 1, a GPU as 8 of them
_COUNTED = dict.fromkeys(("jobs", *_PRICES), _MANY)  # in every pool; without a size there is always enough


@dataclass(frozen=True, slots=True)
class Backlog:
    """All there is to know. ``demands``: what each job has at once, by its id."""

    pools: Mapping[str, TrainingPool]
    queued: Iterable[TrainingJob]
    active: Iterable[TrainingJob]
    demands: Mapping[int, Mapping[str, int]]
    shares: Shares = field(default_factory=Shares)


def next_jobs(backlog: Backlog, now: float, *, without: Collection[int] = ()) -> list[int]:
    """The jobs that may begin now, in order; ``without`` those for which there was no room elsewhere."""
    state = queue_state(backlog, now, without)
    return [int(move.name) for move in core.decide(state, now) if isinstance(move, Admit)]


def used_until(backlog: Backlog, now: float) -> Shares:
    """What users have used by now, when all that run did so since the moment of the backlog's shares."""
    return core.advance(queue_state(backlog, now), now).shares


def in_order(state: QueueState, now: float) -> dict[int, int]:
    """The places of those who wait, from 1, by their ids."""
    return {int(claim.name): place for place, claim in enumerate(core.order(state, now), 1)}


def why_waiting(state: QueueState, number: int, now: float) -> str:
    """Why a job waits, for a person; empty when it does not."""
    wait = core.explain(state, str(number), now)
    if wait is None:
        return ""
    pool, _, resource = wait.pool.partition("/")
    size = state.pools[wait.pool].size
    what = resource if resource != "cpu" else "thousandths of a core"
    if wait.never:
        return f"it wants {wait.wanted} {what} of pool {pool}, which has {size} in all"
    ahead = f", {len(wait.ahead)} jobs before it" if wait.ahead else ""
    return f"waits for {wait.wanted} {what} of pool {pool}: {max(wait.free, 0)} of {size} free{ahead}"


def queue_state(backlog: Backlog, now: float, without: Collection[int] = ()) -> QueueState:
    """What the queue decides about."""
    pools: dict[str, PermitPool] = {}
    for pool in backlog.pools.values():
        for resource, size in {**_COUNTED, **pool.sizes}.items():
            pools[f"{pool.name}/{resource}"] = PermitPool(size, _PRICES.get(resource, 0.0))
    state = QueueState(
        pools,
        holding=tuple(
            Holding(_claim(job, backlog), 1, job.launched)
            for job in backlog.active
            if job.pool in backlog.pools
        ),
        shares=backlog.shares,
    )
    waiting = (job for job in backlog.queued if job.id not in without and job.pool in backlog.pools)
    return core.ask(state, *(_claim(job, backlog) for job in waiting))


def _claim(job: TrainingJob, backlog: Backlog) -> Claim:
    wants = backlog.demands.get(job.id) or {"jobs": 1}
    counted = {**_COUNTED, **backlog.pools[job.pool].sizes}
    each = tuple((f"{job.pool}/{name}", amount) for name, amount in wants.items() if name in counted)
    return Claim(
        str(job.id), each, user=job.user, priority=job.request.priority, created=job.created + job.id * 1e-6
    )
