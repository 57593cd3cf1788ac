"""Who may start now: one pure decision, without clock, files or processes.

Whoever waits asks for permits of named pools, all or nothing: a mutex is a pool of 1, a semaphore one of n, a gang of w
workers wants w permits of its pool, and the cores, the memory and the GPUs of a machine are pools, too.

The rules, in this order:

1. The higher class (``priority``) comes first; in a class, who has used less of what is owed to him
   (:class:`~tiphys.queue.shares.Shares`); of one user's, the older.
2. The first that fits is admitted, also past others that do not fit. The first of these is the *head* of the pools that
   it wants; each that takes of them and is admitted past it costs one of its ``BYPASSES``. When they are used up, its
   pools are kept for it: what comes free there waits for it.
3. A head takes of those who can go on from a backup: of its own class what is more than the least they can do with, if
   it is not they who come first; of lower classes that, too, and then all. They go on with less from their next backup
   on, or end there and keep their place; what they give back is kept for the head.
4. Who can do with less is admitted with what there is, and grown when nobody waits for it: not before he has had for
   ``SETTLED`` seconds what he has, for growing costs him a new beginning.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field, replace

from tiphys.frozen import frozen
from tiphys.queue.shares import Shares

__all__ = [
    "Admit",
    "Claim",
    "Grow",
    "Holding",
    "PermitPool",
    "Preempt",
    "QueueState",
    "Wait",
    "advance",
    "apply",
    "ask",
    "decide",
    "explain",
    "give_back",
    "order",
    "resize",
    "stuck",
]

Bucket = tuple[int, str, tuple[tuple[str, int], ...], int]
BYPASSES = 20  # claims that may be admitted past one that does not fit; measured: benchmarks/admission.py
ENTRY = 600.0  # seconds that one who was just admitted is taken to have used already
SETTLED = 300.0  # seconds between two beginnings of one that grows


@frozen
class PermitPool:
    """``size`` permits. ``price``: what holding one for a second counts as use; 0 for a mutex."""

    size: int
    price: float = 1.0


@frozen
class Claim:
    """Somebody who wants ``each`` permits of named pools for every unit of its size, from ``least`` to ``most`` units.

    ``preemptible``: it has a backup to go on from. ``within``: the claim whose permits are held until this one has
    been admitted and has ended. ``passed``: how many were admitted past it while it was a head.
    """

    name: str
    each: tuple[tuple[str, int], ...]
    user: str = ""
    priority: int = 0
    created: float = 0.0
    least: int = 1
    most: int = 1
    preemptible: bool = False
    within: str = ""
    passed: int = 0

    def wants(self, units: int) -> Iterator[tuple[str, int]]:
        """Pools, and how many permits of each so many units take."""
        return ((pool, count * units) for pool, count in self.each)

    @property
    def pools(self) -> set[str]:
        """Those that it takes permits of."""
        return {pool for pool, count in self.each if count}

    @property
    def bucket(self) -> Bucket:
        """Those of one class and one user who want the same: when the oldest does not fit, no other does."""
        return -self.priority, self.user, self.each, self.least


@frozen
class Holding:
    """A claim that has so many ``units``, ``since`` then. ``keeps``: it was told to go on with so many from its next
    backup on (0: to end there); None: it was told nothing."""

    claim: Claim
    units: int
    since: float
    keeps: int | None = None

    @property
    def later(self) -> int:
        """The units that it has after its next backup."""
        return self.units if self.keeps is None else self.keeps


@frozen
class QueueState:
    """All there is to know. ``waiting``: by :attr:`Claim.bucket`, the older first; see :func:`ask`."""

    pools: Mapping[str, PermitPool]
    waiting: Mapping[Bucket, tuple[Claim, ...]] = field(default_factory=dict)
    holding: tuple[Holding, ...] = ()
    shares: Shares = field(default_factory=Shares)
    bypasses: int = BYPASSES
    settled: float = SETTLED

    def free(self) -> dict[str, int]:
        """Permits that nobody has; less than none where a pool was made smaller."""
        left = {name: pool.size for name, pool in self.pools.items()}
        for held in self.holding:
            for pool, count in held.claim.wants(held.units):
                left[pool] = left.get(pool, 0) - count
        return left


@frozen
class Admit:
    """``name`` may start with ``units``, past ``heads``."""

    name: str
    units: int
    heads: tuple[str, ...] = ()


@frozen
class Preempt:
    """``name`` goes on with what it ``keeps`` from its next backup on, because ``head`` needs the rest; 0: it ends."""

    name: str
    head: str
    keeps: int = 0


@frozen
class Grow:
    """``name`` may go on with ``units``, more than it has."""

    name: str
    units: int


@frozen
class Wait:
    """Why ``name`` waits: there is not enough in ``pool``, or (``head``) what is there is kept for another.

    ``ahead``: those whose turn is before it and who want of this pool. ``held_by``: who would free it. ``never``: it
    wants more than there is in all.
    """

    name: str
    pool: str
    wanted: int
    free: int
    head: str = ""
    ahead: tuple[str, ...] = ()
    held_by: tuple[str, ...] = ()
    never: bool = False


Move = Admit | Preempt | Grow


def decide(state: QueueState, now: float) -> list[Move]:
    """All that may happen now, in order; to be done together, or :func:`apply` one after the other.

    Whoever is not named waits: :func:`explain` says why.
    """
    state = advance(state, now)
    moves: list[Move] = []
    while found := _Walk(state, now).moves():
        for move in found:
            state = apply(state, move, now)
        moves += found
    return moves


def explain(state: QueueState, name: str, now: float) -> Wait | None:
    """Why a claim waits; None when it does not, or may start now."""
    return _Walk(advance(state, now), now).why(name)


def order(state: QueueState, now: float) -> list[Claim]:
    """Those who wait, in the order of their turns."""
    return list(_Walk(advance(state, now), now).ordered())


def ask(state: QueueState, *claims: Claim) -> QueueState:
    """The state with more that wait."""
    waiting = dict(state.waiting)
    for claim in claims:
        there = (*waiting.get(claim.bucket, ()), claim)
        waiting[claim.bucket] = tuple(sorted(there, key=lambda each: (each.created, each.name)))
    return replace(state, waiting=waiting)


def give_back(state: QueueState, name: str, now: float, *, again: bool = False) -> QueueState:
    """The state without a claim, whether it held permits or waited. ``again``: it waits once more, in its place."""
    state = advance(state, now)
    kept = tuple(each for each in state.holding if each.claim.name != name)
    gone = [each.claim for each in state.holding if each.claim.name == name]
    waiting = {
        bucket: left
        for bucket, there in state.waiting.items()
        if (left := tuple(each for each in there if each.name != name))
    }
    state = replace(state, holding=kept, waiting=waiting)
    return ask(state, *gone) if again else state


def resize(state: QueueState, name: str, units: int, now: float) -> QueueState:
    """The state in which a claim holds so many units from now on."""
    state = advance(state, now)
    holding = (Holding(each.claim, units, now) if each.claim.name == name else each for each in state.holding)
    return replace(state, holding=tuple(holding))


def advance(state: QueueState, now: float) -> QueueState:
    """The state with what was used until now."""
    rates: dict[str, float] = {}
    for held in state.holding:
        rates[held.claim.user] = rates.get(held.claim.user, 0.0) + _price(state, held)
    return replace(state, shares=state.shares.after(rates, now))


def apply(state: QueueState, move: Move, now: float) -> QueueState:
    """The state after a move, which is made ``now``."""
    if isinstance(move, Grow):
        return resize(state, move.name, move.units, now)
    state = advance(state, now)
    if isinstance(move, Admit):
        claim = next(each for there in state.waiting.values() for each in there if each.name == move.name)
        passed = set(move.heads)
        waiting = {}
        for bucket, there in state.waiting.items():
            if bucket == claim.bucket or there[0].name in passed:  # a head is the oldest of its kind
                there = tuple(
                    replace(each, passed=each.passed + 1) if each.name in passed else each
                    for each in there
                    if each.name != move.name
                )
            if there:
                waiting[bucket] = there
        return replace(state, waiting=waiting, holding=(*state.holding, Holding(claim, move.units, now)))

    holding = (
        replace(each, keeps=move.keeps) if each.claim.name == move.name else each for each in state.holding
    )
    return replace(state, holding=tuple(holding))


def stuck(state: QueueState) -> dict[str, tuple[str, ...]]:
    """Claims that wait for one another and would for ever: each with those who hold what it wants.

    Whoever holds permits gives them back when nothing is ``within`` it any more. What can be reached so is taken away
    until nothing changes; what is left never moves.
    """
    free = state.free()
    waiting = {each.name: each for there in state.waiting.values() for each in there}
    held = {each.claim.name: each for each in state.holding}
    moved = True
    while moved:
        moved = False
        needed = {each.within for each in waiting.values()} | {each.claim.within for each in held.values()}
        for name in [each for each in held if each not in needed]:
            holding = held.pop(name)
            for pool, count in holding.claim.wants(holding.units):
                free[pool] = free.get(pool, 0) + count
            moved = True
        for name, claim in list(waiting.items()):
            if _fits(claim, free):
                del waiting[name]
                moved = True
    found = {}
    for name, claim in waiting.items():
        if not _never(claim, state.pools):
            short = _short(claim, free)
            found[name] = tuple(other for other, each in held.items() if short & each.claim.pools)
    return found


def _price(state: QueueState, held: Holding) -> float:
    pools = state.pools
    return sum(pools[pool].price * count for pool, count in held.claim.wants(held.units) if pool in pools)


def _fits(claim: Claim, free: Mapping[str, int]) -> bool:
    return all(count <= free.get(pool, 0) for pool, count in claim.wants(claim.least))


def _short(claim: Claim, free: Mapping[str, int]) -> set[str]:
    """The pools in which there is not enough for it."""
    return {pool for pool, count in claim.wants(claim.least) if count > free.get(pool, 0)}


def _most(claim: Claim, free: Mapping[str, int], already: int = 0) -> int:
    """The most units that it may have, when it has some already."""
    units = claim.most
    for pool, count in claim.each:
        if count:
            units = min(units, already + free.get(pool, 0) // count)
    return units


def _never(claim: Claim, pools: Mapping[str, PermitPool]) -> bool:
    return any(count > (pools[pool].size if pool in pools else 0) for pool, count in claim.wants(claim.least))


class _Walk:
    """One pass over those who wait, in order, until one may start."""

    def __init__(self, state: QueueState, now: float) -> None:
        self.state = state
        self.now = now
        self.free = state.free()
        self.coming = dict(self.free)  # with what those give back who were told to
        self.held = {each.claim.name: each for each in state.holding}
        for each in state.holding:
            if each.keeps is not None:
                for pool, count in each.claim.wants(each.units - each.keeps):
                    self.coming[pool] = self.coming.get(pool, 0) + count
        self.heads: dict[str, Claim] = {}  # pool -> the first that wants of it and does not fit
        self.kept: dict[str, str] = {}  # pool -> for whom what comes free is kept
        self.wanted: set[str] = set()  # pools that somebody waits for
        # what does not fit does not fit later, either
        self.blocked: set[tuple[object, int]] = set()
        extra: dict[str, float] = {}
        for held in state.holding:
            if (early := ENTRY - (now - held.since)) > 0:
                user = held.claim.user
                extra[user] = extra.get(user, 0.0) + early * _price(state, held)
        users = {user for _, user, _, _ in state.waiting} | {each.claim.user for each in state.holding}
        self.places = state.shares.places(users, extra)

    def moves(self) -> list[Move]:
        """The next moves: one admitted, or some victims, or one that grows."""
        for claim in self.ordered(self.blocked):
            if not self._closed(claim) and _fits(claim, self.free):
                past = {head.name for pool, _ in claim.wants(1) if (head := self.heads.get(pool))}
                return [Admit(claim.name, _most(claim, self.free), tuple(sorted(past)))]
            self.blocked.add((claim.each, claim.least))
            if victims := self._block(claim):
                return victims
        return self._growth()

    def why(self, name: str) -> Wait | None:
        """Why a claim waits."""
        waiting = self.state.waiting.values()
        mine = next((each for there in waiting for each in there if each.name == name), None)
        if mine is None:
            return None
        for claim in self.ordered(self.blocked):
            if self._place(claim) >= self._place(mine):
                break
            if self._closed(claim) or not _fits(claim, self.free):
                self.blocked.add((claim.each, claim.least))
                self._block(claim)
        closed = self._closed(mine)
        if not closed and _fits(mine, self.free):
            return None
        wants = dict(mine.wants(mine.least))
        pool = closed or next(pool for pool, count in wants.items() if count > self.free.get(pool, 0))
        return Wait(
            name,
            pool,
            wants[pool],
            self.free.get(pool, 0),
            head=self.kept.get(pool, ""),
            ahead=tuple(each.name for each in self._before(mine, pool)),
            held_by=tuple(each.claim.name for each in self.state.holding if pool in dict(each.claim.each)),
            never=_never(mine, self.state.pools),
        )

    def _place(self, claim: Claim) -> tuple[object, ...]:
        return (-claim.priority, self.places[claim.user], claim.user, claim.created, claim.name)

    def _before(self, mine: Claim, pool: str) -> Iterator[Claim]:
        """Those whose turn is before it and who want of this pool."""
        place = self._place(mine)
        wanting = [there for bucket, there in self.state.waiting.items() if pool in dict(bucket[2])]
        merged = heapq.merge(*([(self._place(each), each) for each in there] for there in wanting))
        return (each for _, each in itertools.takewhile(lambda one: one[0] < place, merged))

    def ordered(self, without: Collection[tuple[object, int]] = ()) -> Iterator[Claim]:
        """Those who wait, in order, without those of a kind that is in ``without`` when it is their turn."""
        waiting = self.state.waiting
        buckets = sorted(waiting, key=lambda each: (each[0], self.places[each[1]], each[1]))
        for _, group in itertools.groupby(buckets, key=lambda each: each[:2]):
            heap = [
                (there[0].created, there[0].name, 0, there) for bucket in group if (there := waiting[bucket])
            ]
            heapq.heapify(heap)
            while heap:
                _, _, index, there = heap[0]
                claim = there[index]
                if (claim.each, claim.least) in without or index + 1 == len(there):
                    heapq.heappop(heap)
                else:
                    following = there[index + 1]
                    heapq.heapreplace(heap, (following.created, following.name, index + 1, there))
                if (claim.each, claim.least) not in without:
                    yield claim

    def _closed(self, claim: Claim) -> str:
        """A pool that it wants and that is kept for another."""
        return next((pool for pool, count in claim.wants(1) if count and pool in self.kept), "")

    def _block(self, claim: Claim) -> list[Move]:
        """One that does not fit: it may be the head of its pools, and name victims."""
        if _never(claim, self.state.pools):
            return []
        pools = claim.pools
        self.wanted |= pools
        if self._closed(claim) or pools & self.heads.keys():
            return []
        self.heads.update(dict.fromkeys(pools, claim))
        told: dict[str, int] = {}
        if _short(claim, self._after(told)) and not (told := self._victims(claim)):
            if claim.passed >= self.state.bypasses:
                self.kept.update(dict.fromkeys(pools, claim.name))
            return []
        self.kept.update(dict.fromkeys(pools, claim.name))
        return [Preempt(name, claim.name, keeps) for name, keeps in told.items()]

    def _victims(self, claim: Claim) -> dict[str, int]:
        """Whom it takes of, and what each of them keeps: the fewest, of the lowest class, of those with the most use,
        the youngest first; what they can do without before all they have; none if all do not help."""
        able = sorted(
            (each for each in self.state.holding if self._gives_way(each, claim)),
            key=lambda each: (
                each.claim.priority,
                *(-x for x in self.places[each.claim.user]),
                -each.since,
            ),
        )
        surplus = [(each, each.claim.least) for each in able if each.later > each.claim.least]
        whole = [(each, 0) for each in able if each.claim.priority < claim.priority]
        told: dict[str, int] = {}
        for each, keeps in (*surplus, *whole):
            if _short(claim, self._after(told)) & each.claim.pools:
                told[each.claim.name] = keeps
        if _short(claim, self._after(told)):
            return {}
        for each in able:  # of one that came first less may be needed, or nothing, after those that followed
            name, least = each.claim.name, each.claim.least
            if name in told:
                fewer = (more for more in range(each.later, told[name], -1) if more >= least)
                enough = (more for more in fewer if not _short(claim, self._after({**told, name: more})))
                told[name] = next(enough, told[name])
        later = {each.claim.name: each.later for each in able}
        return {name: keeps for name, keeps in told.items() if keeps < later[name]}

    def _gives_way(self, held: Holding, claim: Claim) -> bool:
        """Whether one who holds can give something to one who waits, at its next backup."""
        mine = held.claim
        if not mine.preemptible or not held.later or mine.priority > claim.priority:
            return False
        first = self.places[mine.user] < self.places[claim.user]
        return mine.priority < claim.priority or (held.later > mine.least and not first)

    def _after(self, told: Mapping[str, int]) -> dict[str, int]:
        """What is free after everybody's next backup, when these keep so much."""
        free = dict(self.coming)
        for name, keeps in told.items():
            held = self.held[name]
            for pool, count in held.claim.wants(held.later - keeps):
                free[pool] = free.get(pool, 0) + count
        return free

    def _growth(self) -> list[Move]:
        """The next that may have more, of pools that nobody waits for, and has had for a while what it has."""
        for held in sorted(
            self.state.holding, key=lambda each: (-each.claim.priority, self.places[each.claim.user])
        ):
            settled = self.now - held.since >= self.state.settled
            if held.keeps is not None or not settled or self.wanted & held.claim.pools:
                continue
            if (units := _most(held.claim, self.free, held.units)) > held.units:
                return [Grow(held.claim.name, units)]
        return []
