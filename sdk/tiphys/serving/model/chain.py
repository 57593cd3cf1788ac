"""Versions that stand in for one another: the first that is loaded and well answers, and the next one when it errs."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from tiphys.serving.model.servable import Code, ModelError

__all__ = ["FAILURES", "REST", "answered", "in_turn"]

T = TypeVar("T")
log = logging.getLogger("tiphys.serving")

FAILURES = 3  # one after the other, and a version is asked last
REST = 10.0  # seconds until it is asked first again
# of the model, not of the request or of the load on the server
_ITS_OWN = (Code.INTERNAL, Code.UNKNOWN, Code.DATA_LOSS, Code.ABORTED)


class StandIn(Protocol):
    """What a chain asks of a version, and writes down: its errors one after the other, and until when (in the clock's
    seconds) others are asked first."""

    model: str
    number: int
    state: str
    failures: int
    rests_until: float


def in_turn(
    versions: Mapping[int, StandIn],
    chain: tuple[int, ...],
    weights: Mapping[int, int],
    now: float,
) -> list[int]:
    """The versions of a chain that can be asked, in the order in which they are. ``weights``: which one is asked first
    is drawn, of these. What has erred again and again comes last."""
    if weights:
        drawn = random.choices([*weights], [*weights.values()])[0]
        chain = (drawn, *(each for each in chain if each != drawn))
    there = [each for each in chain if each in versions and versions[each].state == "AVAILABLE"]
    return sorted(there, key=lambda each: versions[each].rests_until > now)


async def answered(
    versions: Mapping[int, StandIn],
    turn: list[int],
    ask: Callable[[int], Awaitable[T]],
    clock: Callable[[], float],
) -> T:
    """The answer of the first that gives one. Raises the ModelError of the last, or one that is the request's fault."""
    for place, number in enumerate(turn):
        version = versions[number]
        try:
            answer = await ask(number)
        except ModelError as error:
            gone = error.code is Code.NOT_FOUND and version.state != "AVAILABLE"  # unloaded at this moment
            if error.code not in _ITS_OWN and not gone:
                raise
            _erred(version, error, clock())
            if place == len(turn) - 1:
                raise
        else:
            version.failures = 0
            return answer
    raise AssertionError("nothing to ask")


def _erred(version: StandIn, error: ModelError, now: float) -> None:
    version.failures += 1
    if version.failures >= FAILURES:
        version.failures = 0
        version.rests_until = now + REST
        log.error("model %s version %d: it errs, others answer: %s", version.model, version.number, error)
