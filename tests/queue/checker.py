"""A checker of ``tiphys.queue.core``: every state that can be reached from a few claims, or long random schedules.

What it holds against each state is said here anew, from the permits alone, and not with the core's own functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from tiphys.queue.core import (
    Admit,
    Claim,
    Grow,
    Holding,
    Move,
    PermitPool,
    Preempt,
    QueueState,
    apply,
    ask,
    decide,
    give_back,
    resize,
)

__all__ = ["World", "explore", "random_schedule"]


@dataclass(frozen=True)
class World:
    """A state with what the core does not see: those to come, and those that were put aside."""

    state: QueueState
    coming: tuple[Claim, ...] = ()
    aside: tuple[Claim, ...] = ()

    @property
    def key(self) -> object:
        sizes = tuple(sorted((name, pool.size) for name, pool in self.state.pools.items()))
        waiting = frozenset(each for there in self.state.waiting.values() for each in there)
        return sizes, waiting, frozenset(self.state.holding), len(self.coming), frozenset(self.aside)


def taken(state: QueueState) -> dict[str, int]:
    """Permits in use."""
    used = dict.fromkeys(state.pools, 0)
    for held in state.holding:
        for pool, count in held.claim.each:
            used[pool] += count * held.units
    return used


def waiting(state: QueueState) -> list[Claim]:
    return [each for there in state.waiting.values() for each in there]


def settle(state: QueueState, now: float) -> QueueState:
    """What is decided is done, and is held against the rules."""
    before = taken(state)
    moves = decide(state, now)
    after = state
    for move in moves:
        _allowed(after, move)
        after = apply(after, move, now)
    used = taken(after)
    for name, pool in after.pools.items():
        assert used[name] <= max(pool.size, before[name]), f"{name} has {pool.size}, and {used[name]} are out"
    for held in after.holding:
        assert held.claim.least <= held.units <= held.claim.most, held
    for each in waiting(after):
        assert each.passed <= after.bypasses, each
    assert decide(after, now) == [], "the decision was not finished"
    _nothing_idle(after)
    return after


def _allowed(state: QueueState, move: Move) -> None:
    holding = {each.claim.name: each for each in state.holding}
    queued = {each.name: each for each in waiting(state)}
    if isinstance(move, Admit):
        claim = queued[move.name]
        for pool, count in claim.each:
            assert count * move.units <= state.pools[pool].size - taken(state)[pool], move
        for head in move.heads:
            assert queued[head].passed < state.bypasses, move
    elif isinstance(move, Preempt):
        victim, head = holding[move.name], queued[move.head]
        assert victim.claim.preemptible and 0 <= move.keeps < victim.later, move
        if (
            victim.claim.priority >= head.priority or move.keeps
        ):  # of its own class it takes what is not needed
            assert victim.claim.priority <= head.priority and move.keeps >= victim.claim.least, move
    else:
        assert isinstance(move, Grow)
        held = holding[move.name]
        assert held.units < move.units <= held.claim.most and held.keeps is None, move
        for pool, count in held.claim.each:
            assert count * (move.units - held.units) <= state.pools[pool].size - taken(state)[pool], move
            assert not any(
                count and pool in dict(each.each) and _possible(state, each) for each in queued.values()
            )


def _possible(state: QueueState, claim: Claim) -> bool:
    return all(count * claim.least <= state.pools[pool].size for pool, count in claim.each)


def _nothing_idle(state: QueueState) -> None:
    """One that would fit waits only for one that may not be passed any more, or whose victims are ending."""
    used = taken(state)
    for each in waiting(state):
        if any(count * each.least > state.pools[pool].size - used[pool] for pool, count in each.each):
            continue
        pools = {pool for pool, count in each.each if count}
        kept_for = [
            other
            for other in waiting(state)
            if other is not each
            and pools & {pool for pool, count in other.each if count}
            and (other.passed >= state.bypasses or any(held.keeps is not None for held in state.holding))
        ]
        assert kept_for, f"{each} would fit"


def steps(world: World, sizes: dict[str, tuple[int, ...]], now: float) -> Iterator[World]:
    """All that may happen next, each followed by a decision."""
    state = world.state
    if world.coming:
        yield World(settle(ask(state, world.coming[0]), now), world.coming[1:], world.aside)
    for held in state.holding:
        name = held.claim.name
        yield replace(world, state=settle(give_back(state, name, now), now))  # it ended, or was killed
        if held.keeps is not None:  # its backup
            yield replace(world, state=settle(_backed_up(state, held, now), now))
    for each in waiting(state):
        aside = (*world.aside, each)
        yield replace(world, state=settle(give_back(state, each.name, now), now), aside=aside)
    for each in world.aside:
        left = tuple(other for other in world.aside if other is not each)
        yield replace(world, state=settle(ask(state, each), now), aside=left)
    for name, choices in sizes.items():
        for size in choices:
            if size != state.pools[name].size:
                pools = {**state.pools, name: PermitPool(size)}
                yield replace(world, state=settle(replace(state, pools=pools), now))


def _backed_up(state: QueueState, held: Holding, now: float) -> QueueState:
    """One that was told to has ended at its backup, and goes on with what it keeps, or waits once more."""
    if held.keeps:
        return resize(state, held.claim.name, held.keeps, now)
    return give_back(state, held.claim.name, now, again=True)


def explore(claims: tuple[Claim, ...], sizes: dict[str, tuple[int, ...]], bypasses: int) -> int:
    """Go through every state that can be reached; returns how many there are."""
    pools = {name: PermitPool(choices[0]) for name, choices in sizes.items()}
    first = World(QueueState(pools, bypasses=bypasses, settled=0.0), claims)
    seen = {first.key}
    look = [first]
    while look:
        world = look.pop()
        _ends(world.state)
        for after in steps(world, sizes, 0.0):
            if after.key not in seen:
                seen.add(after.key)
                look.append(after)
    return len(seen)


def _ends(state: QueueState) -> None:
    """However it stands, when nobody comes any more all have their turn that can have one."""
    state = settle(state, 0.0)
    while state.holding:
        state = settle(give_back(state, state.holding[0].claim.name, 0.0), 0.0)
    assert not [each for each in waiting(state) if _possible(state, each)]


def random_schedule(
    seed: int, moves: int, make: Callable[[Random, int], Claim], pools: dict[str, int]
) -> int:
    """One long schedule: arrivals, ends, kills, backups, suspensions, other limits, and time that goes on."""
    chance = Random(seed)
    world = World(
        QueueState(
            {name: PermitPool(size) for name, size in pools.items()},
            bypasses=chance.choice((0, 1, 3, 8)),
            settled=chance.choice((0.0, 120.0)),
        )
    )
    now, number, admitted = 0.0, 0, 0
    for _ in range(moves):
        now += chance.expovariate(1 / 60)
        state = world.state
        kind = chance.random()
        queued = waiting(state)
        if kind < 0.45 and len(queued) < 12:
            number += 1
            world = replace(world, state=ask(state, make(chance, number)))
        elif kind < 0.8 and state.holding:
            held: Holding = chance.choice(state.holding)
            backed_up = held.keeps is not None and chance.random() < 0.7
            after = _backed_up(state, held, now) if backed_up else give_back(state, held.claim.name, now)
            world = replace(world, state=after)
        elif kind < 0.87 and queued:
            each = chance.choice(queued)
            world = replace(world, state=give_back(state, each.name, now), aside=(*world.aside, each))
        elif kind < 0.94 and world.aside:
            each = chance.choice(world.aside)
            left = tuple(other for other in world.aside if other is not each)
            world = replace(world, state=ask(state, each), aside=left)
        else:
            name = chance.choice(sorted(pools))
            size = chance.randint(0, pools[name])
            world = replace(world, state=replace(state, pools={**state.pools, name: PermitPool(size)}))
        before = len(world.state.holding)
        world = replace(world, state=settle(world.state, now))
        admitted += len(world.state.holding) - before
    _ends(replace(world.state, pools={name: PermitPool(size) for name, size in pools.items()}))
    return admitted
