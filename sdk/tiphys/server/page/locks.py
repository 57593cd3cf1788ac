"""Who holds what, and who waits for it: locks and pools of the store."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.routing import Route

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
class WaitsFor:
    """Who of a run waits for which lock, at which place, and who has it (names and the paths of their runs)."""

    who: str
    lock: str
    place: int
    of: int
    holders: list[tuple[str, str]]


def _locks(desk: Desk) -> list[Lock]:
    with contextlib.closing(Locks(desk.board.store.locks)) as table:
        return table.table()


def _pools(desk: Desk) -> list[PoolTold]:
    rules = load_rules(desk.board.store.queue_rules)
    with contextlib.closing(Permits(desk.board.store.locks, lambda: rules)) as permits:
        permits.news()
        return pools_told(permits.view(), time.time())


def _run_of(holder: str) -> tuple[str, str]:
    """A holder (``NAMESPACE/RUN`` or ``NAMESPACE/RUN/NODE``) and where its run is."""
    parts = holder.split("/")
    return holder, link("runs", parts[1]) if len(parts) > 1 else ""


def waiting_of(desk: Desk, run: RunRecord) -> list[WaitsFor]:
    """What a run waits for."""
    mine = f"{run.namespace or desk.board.namespace}/{run.name}"
    steps = {each.node: each.name for each in run.steps}
    found = []
    for lock in _locks(desk):
        for place, name in enumerate(lock.waiting, 1):
            if f"{name}/".startswith(f"{mine}/"):
                who = name.removeprefix(mine).lstrip("/")
                holders = [_run_of(each) for each in lock.holders]
                found.append(WaitsFor(steps.get(who, who), lock.name, place, len(lock.waiting), holders))
    return found


def routes(frame: Frame) -> list[Route]:
    def board(request: Request) -> Response:
        locks = [
            (
                each.name,
                each.limit,
                [_run_of(one) for one in each.holders],
                [_run_of(one) for one in each.waiting],
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
