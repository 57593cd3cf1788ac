"""Workflows of runs that have ended, those that were asked for last: who pages through a store reads each once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.runs.local.stamps import RunStamp

__all__ = ["RecentRuns"]


class RecentRuns:
    """``most``: bytes of the files that they were read from; in memory they take several times as much."""

    def __init__(self, most: int = 16 << 20) -> None:
        self._most, self._size = most, 0
        self._kept: OrderedDict[str, tuple[RunStamp, Workflow]] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, name: str, now: RunStamp) -> Workflow | None:
        """What was read of a run, if it was of this very end."""
        with self._guard:
            found = self._kept.get(name)
            if found is None or found[0] != now:
                return None
            self._kept.move_to_end(name)
            return found[1]

    def put(self, name: str, at: RunStamp, workflow: Workflow) -> None:
        """Keep what was read when the run had that stamp."""
        if not at.ended or at.size > self._most:
            return
        with self._guard:
            if (before := self._kept.pop(name, None)) is not None:
                self._size -= before[0].size
            self._kept[name] = at, workflow
            self._size += at.size
            while self._size > self._most:
                _, (gone, _) = self._kept.popitem(last=False)
                self._size -= gone.size
