"""Which endpoint gets the next request."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

from tiphys.errors import ServingError, did_you_mean

__all__ = ["POLICIES", "Candidate", "LeastRequest", "Policy", "RoundRobin", "make_policy"]


class Candidate(Protocol):
    """What a policy may look at."""

    @property
    def address(self) -> str: ...

    @property
    def active(self) -> int:
        """Requests that are running there now."""
        ...


class Policy(Protocol):
    """Chooses one of the candidates (never an empty sequence)."""

    def choose(self, candidates: Sequence[Candidate]) -> int:
        """The index of the chosen candidate."""
        ...


class RoundRobin:
    """Each in turn."""

    def __init__(self) -> None:
        self._next = 0

    def choose(self, candidates: Sequence[Candidate]) -> int:
        index = self._next % len(candidates)
        self._next = index + 1
        return index


class LeastRequest:
    """The less loaded of two that are drawn at random.

    "The power of two choices": nearly as even as asking all, without the herd that follows a stale minimum
    (M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, IEEE TPDS 12(10), 2001).
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()

    def choose(self, candidates: Sequence[Candidate]) -> int:
        count = len(candidates)
        if count == 1:
            return 0
        first = int(self._rng.random() * count)
        second = int(self._rng.random() * (count - 1))
        second += second >= first
        return first if candidates[first].active <= candidates[second].active else second


POLICIES: dict[str, type[RoundRobin] | type[LeastRequest]] = {
    "round-robin": RoundRobin,
    "least-request": LeastRequest,
}


def make_policy(policy: str | Policy) -> Policy:
    """A policy by its name. Raises ServingError TIP511 for an unknown one."""
    if not isinstance(policy, str):
        return policy
    try:
        return POLICIES[policy]()
    except KeyError:
        raise ServingError(
            "TIP511",
            f"Unknown load-balancing policy {policy!r}.{did_you_mean(policy, POLICIES)}",
            fix=f"Use one of: {', '.join(POLICIES)}.",
        ) from None
