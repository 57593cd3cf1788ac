"""Workflows of runs that have ended, those that were asked for last: who pages through a store reads each once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.runs.local.stamps import RunStamp

__all__ = ["RecentRuns"]


@dataclass(slots=True)
class _Kept:
    stamp: RunStamp
    workflow: Workflow
    number: int = 0  # of the change of which the text tells
    text: bytes = b""


class RecentRuns:
    """``most``: bytes of the files that they were read from; in memory they take several times as much."""

    def __init__(self, most: int = 16 << 20) -> None:
        self._most, self._size = most, 0
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, name: str, now: RunStamp) -> Workflow | None:
        """What was read of a run, if it was of this very end."""
        with self._guard:
            found = self._of(name, now)
            return None if found is None else found.workflow

    def text(self, name: str, now: RunStamp, number: int) -> bytes:
        """The JSON of the Workflow as of a change; empty where nobody has kept it."""
        with self._guard:
            found = self._of(name, now)
            return b"" if found is None or found.number != number else found.text

    def keep_text(self, name: str, now: RunStamp, number: int, text: bytes) -> None:
        """Keep the JSON beside what was read of that end, if that is kept."""
        with self._guard:
            found = self._of(name, now)
            if found is not None:
                found.number, found.text = number, text

    def put(self, name: str, at: RunStamp, workflow: Workflow) -> None:
        """Keep what was read when the run had that stamp."""
        if not at.ended or at.size > self._most:
            return
        with self._guard:
            if (before := self._kept.pop(name, None)) is not None:
                self._size -= before.stamp.size
            self._kept[name] = _Kept(at, workflow)
            self._size += at.size
            while self._size > self._most:
                _, gone = self._kept.popitem(last=False)
                self._size -= gone.stamp.size

    def _of(self, name: str, now: RunStamp) -> _Kept | None:
        """Called with the guard held."""
        found = self._kept.get(name)
        if found is None or found.stamp != now:
            return None
        self._kept.move_to_end(name)
        return found
