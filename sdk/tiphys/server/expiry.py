"""When runs that have ended are deleted: by their own ``ttlStrategy``, and by how many are to stay.

Source: workflow/gccontroller of Argo 4.0. A phase for which no number is given loses none (Argo: all of them).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tiphys.argo.nodes import COMPLETED, FAILED
from tiphys.argo.time import seconds
from tiphys.errors import TiphysError

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.server.desk import Desk

__all__ = ["Expiry", "expired", "surplus_runs"]

log = logging.getLogger("tiphys.server")
_PERIOD = 1.0  # seconds between two looks
_ARCHIVE_PERIOD = 600.0  # and at the archive


def expired(brief: Workflow, now: float) -> bool:
    """Whether the time after a run's end that it asks for is over; ``now``: seconds since the epoch."""
    asked = (brief.get("spec") or {}).get("ttlStrategy")
    status = brief.get("status") or {}
    phase, ended = status.get("phase"), status.get("finishedAt")
    if not asked or phase not in COMPLETED or not ended:
        return False
    key = "secondsAfterFailure" if phase in FAILED else "secondsAfterSuccess"
    wait = asked.get(key, asked.get("secondsAfterCompletion"))
    return isinstance(wait, int) and seconds(ended) + wait <= now


def surplus_runs(briefs: Iterable[Workflow], kept: Mapping[str, int]) -> list[str]:
    """The names of those that are more than may stay of their phase, the oldest first."""
    by_phase: dict[str, list[tuple[str, str]]] = {}
    for each in briefs:
        metadata, phase = each["metadata"], (each.get("status") or {}).get("phase") or ""
        if phase in kept:
            by_phase.setdefault(phase, []).append((metadata.get("creationTimestamp") or "", metadata["name"]))
    return [
        name
        for phase, runs in by_phase.items()
        for _, name in sorted(runs)[: max(0, len(runs) - kept[phase])]
    ]


class Expiry:
    """Deletes what a desk has that is over; :meth:`tick` is called again and again."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._next = self._archive = 0.0

    def tick(self, now: float) -> None:
        """Do what is due; ``now``: seconds since the epoch."""
        if now < self._next:
            return
        self._next = now + _PERIOD
        settings, briefs = self._desk.settings(), self._desk.board.briefs()[1]
        due = [each["metadata"]["name"] for each in briefs if expired(each, now)]
        if settings.retention:
            due += [name for name in surplus_runs(briefs, settings.retention) if name not in due]
        for name in due:
            try:
                self._desk.delete_ended(name)
            except (TiphysError, OSError) as error:  # somebody retries it, or has just deleted it
                log.info("cannot delete %s: %s", name, error)
        if due:
            self._desk.board.look()
        if settings.archive and settings.archive_ttl and now >= self._archive:
            self._archive = now + _ARCHIVE_PERIOD
            self._desk.archive.expire(now - settings.archive_ttl)
