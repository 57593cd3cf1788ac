"""Who holds what, and who waits for it: locks and pools of the store."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.routing import Route

from tiphys.argo.time import seconds
from tiphys.queue import Locks
from tiphys.queue.permits import Permits
from tiphys.queue.rules import load_rules
from tiphys.queue.telling import pools_told
from tiphys.server.views.parts import link

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tiphys.queue.locks import Lock
    from tiphys.queue.telling import PoolTold
    from tiphys.records.record import RunRecord
    from tiphys.server.desk import Desk
    from tiphys.server.page.frame import Frame

__all__ = ["NAV", "WaitsFor", "routes", "waiting_of"]

NAV = ("Locks", "/ui/locks")


@dataclass(frozen=True)
class Somebody:
    """Who holds a lock, or waits for it: a run, or a step of one. ``link``: where its run is, empty for none;
    ``since``: seconds since the epoch, 0 where the store does not say."""

    name: str
    link: str
    since: float


@dataclass(frozen=True)
class WaitsFor:
    """Who of a run waits for which lock, at which place, since when, and who has it."""

    who: str
    lock: str
    place: int
    of: int
    since: float
    holders: list[Somebody]


def _locks(desk: Desk) -> list[Lock]:
    with contextlib.closing(Locks(desk.board.store.locks)) as table:
        return table.table()


def _pools(desk: Desk) -> list[PoolTold]:
    rules = load_rules(desk.board.store.queue_rules)
    with contextlib.closing(Permits(desk.board.store.locks, lambda: rules)) as permits:
        permits.news()
        return pools_told(permits.view(), time.time())


def _somebody(desk: Desk, holder: str) -> Somebody:
    """Of a holder, ``NAMESPACE/RUN`` or ``NAMESPACE/RUN/NODE``. A node begins to wait when it comes to be, and has
    another beginning when it has its locks; a run is created, and then starts."""
    _, name, identity = (*holder.split("/", 2), "", "")[:3]
    workflow = desk.board.get(name) if name else None
    if workflow is None:
        return Somebody(holder, link("runs", name) if name else "", 0.0)
    status = workflow.get("status") or {}
    if not identity:
        at = status.get("startedAt") or workflow["metadata"].get("creationTimestamp")
        return Somebody(name, link("runs", name), _time(at))
    node = (status.get("nodes") or {}).get(identity)
    if node is None:
        return Somebody(holder, link("runs", name), 0.0)
    shown = f"{name}: {node.get('displayName') or identity}"
    return Somebody(shown, link("runs", name, "steps", identity), _time(node.get("startedAt")))


def _time(at: str | None) -> float:
    return seconds(at) if at else 0.0


def waiting_of(desk: Desk, run: RunRecord) -> list[WaitsFor]:
    """What a run waits for."""
    mine = f"{run.namespace or desk.board.namespace}/{run.name}"
    steps = {each.node: each.name for each in run.steps}
    found = []
    for lock in _locks(desk):
        for place, name in enumerate(lock.waiting, 1):
            if f"{name}/".startswith(f"{mine}/"):
                who = name.removeprefix(mine).lstrip("/")
                holders = [_somebody(desk, each) for each in lock.holders]
                since, of = _somebody(desk, name).since, len(lock.waiting)
                found.append(WaitsFor(steps.get(who, who), lock.name, place, of, since, holders))
    return found


def routes(frame: Frame) -> list[Route]:
    def board(request: Request) -> Response:
        locks = [
            (
                each.name,
                each.limit,
                [_somebody(frame.desk, one) for one in each.holders],
                [_somebody(frame.desk, one) for one in each.waiting],
            )
            for each in _locks(frame.desk)
        ]
        number = frame.desk.board.number
        return frame.show(
            request,
            "locks.html",
            title="Locks",
            locks=locks,
            pools=_pools(frame.desk),
            now=time.time(),
            number=number,
        )

    return [Route(NAV[1], board)]
