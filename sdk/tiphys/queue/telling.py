"""What is told of the table of pools: who holds and who waits, why, and what was used against what is owed."""

from __future__ import annotations

from tiphys.frozen import frozen
from tiphys.queue.core import Claim, Wait, explain, order
from tiphys.queue.permits import View
from tiphys.queue.rules import Rules

__all__ = ["Held", "PoolTold", "UserTold", "Waits", "of_run", "pools_told", "users_told", "why"]


@frozen
class Held:
    """``name`` is the step, as ``RUN.STEP``, or the run; ``since``: seconds since the epoch."""

    name: str
    user: str
    priority: int
    permits: int
    since: float


@frozen
class Waits:
    """``ahead``: those whose turn is before it. ``kept_for``: the one that what comes free is kept for. ``never``: it
    wants more than there is in all."""

    name: str
    user: str
    priority: int
    permits: int
    since: float
    ahead: tuple[str, ...] = ()
    kept_for: str = ""
    never: bool = False


@frozen
class PoolTold:
    """``waiting`` is in the order of the turns. A claim that waits for several pools is told of each."""

    name: str
    size: int
    free: int
    holding: tuple[Held, ...]
    waiting: tuple[Waits, ...]


@frozen
class UserTold:
    """``used``: permit-seconds, as they count now; the shares are parts of 1, of what all have used and are owed."""

    user: str
    group: str
    used: float
    used_share: float
    owed_share: float


def pools_told(view: View, now: float) -> list[PoolTold]:
    """All pools of which somebody holds or wants something, or whose size is known, by name."""
    waiting = order(view.state, now)
    found = []
    for name, pool in sorted(view.state.pools.items()):
        held = tuple(
            Held(
                view.shown[each.claim.name],
                each.claim.user,
                each.claim.priority,
                dict(each.claim.wants(each.units))[name],
                each.since,
            )
            for each in view.state.holding
            if name in each.claim.pools
        )
        wanting = [each for each in waiting if name in each.pools]
        told = tuple(_waits(view, each, name, wanting[:place]) for place, each in enumerate(wanting))
        found.append(PoolTold(name, pool.size, max(view.free[name], 0), held, told))
    return found


def of_run(view: View, namespace: str, run: str) -> list[Claim]:
    """The claims of a run that wait."""
    mine = f"{namespace}/{run}"
    return [each for name, each in view.waiting.items() if name == mine or name.startswith(f"{mine}/")]


def why(view: View, claim: Claim, now: float) -> tuple[str, Waits] | None:
    """The pool that keeps a claim waiting, and how; None when it may start now, and will be told."""
    wait = explain(view.state, claim.name, now)
    if wait is None:
        return None
    ahead = [view.waiting[name] for name in wait.ahead]
    return wait.pool, _waits(view, claim, wait.pool, ahead, wait)


def users_told(view: View, rules: Rules) -> list[UserTold]:
    """Everybody who has used something, holds or waits, or is named in the rules: by group and name."""
    used = view.state.shares.used
    users = {*rules.users, *(user for user, use in used.items() if use >= 1)}
    users |= {each.user for each in view.waiting.values()}
    users |= {each.claim.user for each in view.holding.values()}
    groups = {user: rules.users.get(user, rules.others).group for user in users}
    owed = rules.shares(used, 0.0).owed(users)
    total = sum(used.get(user, 0.0) for user in users)
    return [
        UserTold(
            user,
            groups[user],
            used.get(user, 0.0),
            used.get(user, 0.0) / total if total else 0.0,
            owed[user],
        )
        for user in sorted(users, key=lambda user: (groups[user], user))
    ]


def _waits(view: View, claim: Claim, pool: str, ahead: list[Claim], wait: Wait | None = None) -> Waits:
    permits = dict(claim.wants(claim.least))[pool]
    return Waits(
        view.shown[claim.name],
        claim.user,
        claim.priority,
        permits,
        view.asked[claim.name],
        tuple(view.shown[each.name] for each in ahead),
        view.shown.get(wait.head, "") if wait is not None else "",
        permits > view.state.pools[pool].size,
    )
