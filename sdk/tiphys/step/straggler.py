"""Whether a training that still runs can enter the top: what it told of its epochs in, a verdict and its reason out.

Pure. A training's accuracy is of the images that it trains on, a judgement's of others: the two are compared through
the largest difference that was seen among those that have both (``lift``, never negative), and ``margin`` is left on
top. The slope is the steepest of the last epochs and never negative, so that one dip, or one flat epoch in the middle
of a schedule, drops nobody.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from tiphys.numbers import finite

__all__ = ["FALLING", "MARGIN", "Curve", "curve", "lift", "reach", "verdict"]

MARGIN = 0.02
"""Parts of one: what a training may gain beyond its slope, at the end of its schedule or in judgement."""
FALLING = 3
"""Epochs in a row."""


@dataclass(frozen=True)
class Curve:
    """``values``: the accuracy after each epoch, in order; ``last``: the last epoch, from 1; ``of``: how many there
    will be, 0 when nobody said."""

    values: tuple[float, ...]
    last: int
    of: int

    @property
    def left(self) -> int:
        """Epochs to come."""
        return max(self.of - self.last, 0)


def curve(lines: Iterable[str], value: str = "accuracy") -> Curve:
    """What lines of ``report`` or of a ``metrics.jsonl`` say. An epoch that was trained again counts as it was the last
    time, and what came after it before does not: the training went on from there. Other lines are skipped."""
    found: dict[int, float] = {}
    of = 0
    for line in lines:
        told = _told(line)
        epoch, accuracy = told.get("epoch"), finite(told.get(value))
        if not (isinstance(epoch, int) and epoch >= 1) or math.isnan(accuracy):
            continue
        while found and next(reversed(found)) >= epoch:
            found.popitem()
        found[epoch] = accuracy
        if isinstance(ends := told.get("of"), int):
            of = ends
    return Curve(tuple(found.values()), max(found, default=0), of)


def reach(seen: Curve) -> float:
    """The accuracy that the training may have at its end, by its own measure: at most 1; of one that has not told two
    epochs, or not how many there will be, 1."""
    if not seen.of or (len(seen.values) < 2 and seen.left):
        return 1.0
    if _falls(seen):
        return seen.values[-1]
    steps = [after - before for before, after in zip(seen.values, seen.values[1:], strict=False)]
    slope = max([0.0, *steps[-FALLING:]])
    return min(1.0, max(seen.values, default=1.0) + slope * seen.left)


def lift(judged: Iterable[tuple[Curve, float]]) -> float:
    """How far a judgement was above the training's last accuracy, at most; 0 where it never was."""
    return max([0.0, *(accuracy - seen.values[-1] for seen, accuracy in judged if seen.values)])


def verdict(seen: Curve, place: float, *, lift: float = 0.0, margin: float = MARGIN) -> str:
    """Why the training cannot have more than ``place``, the judged accuracy of the last that is in the top; empty while
    it can."""
    most = reach(seen) + lift + margin
    if not seen.of or most + 1e-9 >= place:  # equal is not below
        return ""
    so_far = f"accuracy {max(seen.values):.4f} after epoch {seen.last} of {seen.of}"
    if _falls(seen):
        return f"{so_far}, falling for {FALLING} epochs to {seen.values[-1]:.4f}: it stays below {place:.4f}"
    return f"{so_far}, at most {min(most, 1.0):.4f} at its end: it stays below {place:.4f}"


def _falls(seen: Curve) -> bool:
    last = seen.values[-FALLING - 1 :]
    return len(last) > FALLING and all(a > b for a, b in itertools.pairwise(last))


def _told(line: str) -> dict[str, object]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
