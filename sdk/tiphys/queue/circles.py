"""Claims that wait for one another in a circle, and would for ever."""

from __future__ import annotations

from collections.abc import Mapping

from tiphys.queue.core import Claim, Holding, QueueState, stuck

__all__ = ["circle"]


def circle(state: QueueState, name: str) -> list[tuple[str, str]]:
    """The circle that a claim is in: each that waits, with the claim that holds what it wants; empty without one.

    The holder goes on when one that waits inside it does (:attr:`Claim.within`), the next of the list, and that of the
    last is what the first is inside of.
    """
    blocked = stuck(state)
    if name not in blocked:
        return []
    held = {each.claim.name: each for each in state.holding}
    around = {
        claim.name: _around(claim, held)
        for there in state.waiting.values()
        for claim in there
        if claim.name in blocked
    }
    ways: list[tuple[str, list[tuple[str, str]]]] = [(name, [])]
    seen = {name}
    while ways:
        at, way = ways.pop(0)
        for holder in blocked[at]:
            step = [*way, (at, holder)]
            if holder in around[name]:
                return step
            for other, outer in around.items():
                if holder in outer and other not in seen:
                    seen.add(other)
                    ways.append((other, step))
    return []


def _around(claim: Claim, held: Mapping[str, Holding]) -> set[str]:
    """The claims that it is inside of."""
    found: set[str] = set()
    while claim.within in held and claim.within not in found:
        found.add(claim.within)
        claim = held[claim.within].claim
    return found
