"""A gang goes at the pace of its slowest worker: one that is far slower than the others is found, and replaced.

Where the workers wait for each other after each step, all steps take equally long, whoever it is that the others wait
for. So each worker times, after each epoch, the same small piece of arithmetic, and writes it beside the backups. Who
is ``SLOW`` times slower than the median of the others, in ``EPOCHS`` epochs in a row, ends, to be started again as a
worker that was lost is: on a cluster in a new pod, which may be on another node. It does so ``REPLACED`` times at
most, over all its restarts: what is slow after that is the machine that there is.
"""

from __future__ import annotations

import contextlib
import json
import statistics
from collections.abc import Callable
from pathlib import Path

from components.cluster import Gang
from components.publish import write_file

__all__ = ["EPOCHS", "REPLACED", "SLOW", "Pace", "timed"]

SLOW = 10.0
EPOCHS = 2
REPLACED = 2


class Pace:
    """That of one worker. ``folder``: what all of them can write to; ``measure`` gives seconds."""

    def __init__(self, folder: Path, gang: Gang, measure: Callable[[], float]) -> None:
        self._folder = folder
        self._gang = gang
        self._measure = measure
        self._behind = 0  # epochs in a row

    def lag(self, epoch: int) -> float:
        """How many times slower than the others this worker is after ``epoch``; 0 where they have not told theirs."""
        if self._gang.size == 1:
            return 0.0
        seconds = self._measure()
        self._folder.mkdir(parents=True, exist_ok=True)
        told = {"epoch": epoch, "seconds": seconds}
        write_file(self._folder / str(self._gang.index), json.dumps(told).encode())
        others = [
            found["seconds"]
            for index in range(self._gang.size)
            if index != self._gang.index and (found := _read(self._folder / str(index))).get("epoch") == epoch
        ]
        return seconds / max(statistics.median(others), 1e-9) if others else 0.0

    def too_slow(self, lag: float) -> bool:
        """Whether this worker is to be replaced, which is counted. ``lag``: of :meth:`lag`; 0 says nothing."""
        if lag:
            self._behind = self._behind + 1 if lag >= SLOW else 0
        if lag < SLOW or self._behind < EPOCHS:
            return False
        file = self._folder / f"replaced-{self._gang.index}"
        times = int(_read(file).get("times", 0))
        if times >= REPLACED:
            return False
        write_file(file, json.dumps({"times": times + 1}).encode())
        return True


def timed(work: Callable[[], object], clock: Callable[[], float]) -> Callable[[], float]:
    """Seconds that ``work`` takes; before the first time it is done once, so that nothing is loaded in them."""
    warm = False

    def measure() -> float:
        nonlocal warm
        if not warm:
            work()
            warm = True
        begin = clock()
        work()
        return clock() - begin

    return measure


def _read(path: Path) -> dict[str, float]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text())
        if isinstance(found, dict) and all(isinstance(each, int | float) for each in found.values()):
            return found
    return {}
