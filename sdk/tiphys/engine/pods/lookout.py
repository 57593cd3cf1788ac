"""Looks at tables that engines share: when the kernel says that one was written, and now and then, since of an engine
that was killed it says nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tiphys.engine.base.loop import Loop, Timer
from tiphys.queue.table import LOOK_AGAIN, SharedTable
from tiphys.queue.wake import hear

__all__ = ["Lookout"]

_SELDOM = 1.0  # seconds
_BREATH = 0.02  # seconds between two looks at least: two hundred engines may write


class Lookout:
    """``look`` looks; it says whether somebody still waits."""

    def __init__(self, loop: Loop, look: Callable[[], bool]) -> None:
        self._loop = loop
        self._look = look
        self._ears: dict[Path, int | None] = {}
        self._quick = False
        self._last = 0.0
        self._timer: Timer | None = None
        self._due = 0.0

    def on(self, *tables: SharedTable, quick: bool | None = None) -> None:
        """Look at these from now on, as long as somebody waits. ``quick``: whether as often as where the kernel says
        nothing."""
        for table in tables:
            if table.path not in self._ears:
                ear = self._ears[table.path] = table.listen()
                if ear is not None:
                    self._loop.watch(ear, partial(self._heard, ear))
        if quick is not None and quick != self._quick:
            self._quick = quick
            if self._timer is not None and quick:
                self._plan(LOOK_AGAIN)
        if self._timer is None:
            self._plan(LOOK_AGAIN if self._quick or None in self._ears.values() else _SELDOM)

    def off(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for ear in self._ears.values():
            if ear is not None:
                self._loop.unwatch(ear)
                os.close(ear)
        self._ears.clear()
        self._quick = False

    def _plan(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = self._loop.now() + seconds
        self._timer = self._loop.call_at(self._due, self._tick)

    def _heard(self, ear: int) -> None:
        hear(ear)
        soon = max(self._last + _BREATH - self._loop.now(), 0.0)
        if self._timer is None or self._loop.now() + soon < self._due:
            self._plan(soon)

    def _tick(self) -> None:
        self._timer = None
        self._last = self._loop.now()
        if self._look():
            self.on()
        else:
            self.off()
