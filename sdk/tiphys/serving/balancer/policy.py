"""Which endpoint gets the next request."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from tiphys.errors import ServingError, did_you_mean

__all__ = [
    "POLICIES",
    "Candidate",
    "ConsistentHash",
    "LeastRequest",
    "Policy",
    "RoundRobin",
    "key_of",
    "make_policy",
    "same_policy",
]

_BOUND = 1.25  # times the mean: the most that one replica runs of what is hashed
_FIELD = "body."
_READ = 256 * 1024  # bytes of a body: more takes too long where others wait
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2


class Candidate(Protocol):
    """What a policy may look at."""

    @property
    def address(self) -> str: ...

    @property
    def active(self) -> int:
        """Requests that are running there now."""
        ...

    @property
    def weight(self) -> float:
        """More than 0: how much it is to get, beside the others."""
        ...


class Hashed(Protocol):
    """What may be hashed of a request or a call."""

    @property
    def body(self) -> bytes: ...

    @property
    def peer(self) -> str:
        """The client's address."""
        ...

    def header(self, name: bytes) -> bytes | None: ...


class Policy(Protocol):
    """Chooses one of the candidates (never an empty sequence)."""

    def choose(self, candidates: Sequence[Candidate]) -> int:
        """The index of the chosen candidate."""
        ...


def _are_even(candidates: Sequence[Candidate]) -> bool:
    first = candidates[0].weight
    return all(each.weight == first for each in candidates)


class RoundRobin:
    """Each in turn; one of twice the weight twice as often, and not twice in a row (the smooth weighted round robin of
    nginx)."""

    def __init__(self) -> None:
        self._next = 0
        self._due: dict[str, float] = {}  # of each address, where they have weights

    def choose(self, candidates: Sequence[Candidate]) -> int:
        if _are_even(candidates):
            index = self._next % len(candidates)
            self._next = index + 1
            return index
        self._due = {each.address: self._due.get(each.address, 0.0) + each.weight for each in candidates}
        index = max(range(len(candidates)), key=lambda each: self._due[candidates[each].address])
        self._due[candidates[index].address] -= sum(each.weight for each in candidates)
        return index


class LeastRequest:
    """The less loaded of two that are drawn at random.

    "The power of two choices": nearly as even as asking all, without the herd that follows a stale minimum
    (M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, IEEE TPDS 12(10), 2001). By weight: one of
    twice the weight is drawn twice as often, and may run twice as much.
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()

    def choose(self, candidates: Sequence[Candidate]) -> int:
        count = len(candidates)
        if count == 1:
            return 0
        if _are_even(candidates):
            first = int(self._rng.random() * count)
            second = int(self._rng.random() * (count - 1))
            second += second >= first
        else:
            weights = [each.weight for each in candidates]
            (first,) = self._rng.choices(range(count), weights)
            weights[first] = 0.0
            (second,) = self._rng.choices(range(count), weights)
        one, two = candidates[first], candidates[second]
        return first if one.active * two.weight <= two.active * one.weight else second


@dataclass(frozen=True)
class ConsistentHash:
    """Requests with the same key go to the same replica, as long as that one has no more than its share; when replicas
    come or go, only the keys of those change their place. ``by`` is what the key is: ``address`` (the client's),
    ``body``, ``body.FIELD`` (a field of the JSON object that the body is), or the name of a header; a request without
    that header or field, or with more than 256 KiB to look for it in, has its client's address.

    Each replica has a weight for each key, and the greatest wins (rendezvous hashing: D. Thaler and C. Ravishankar,
    Using Name-Based Mappings to Increase Hit Rates, IEEE/ACM Trans. Networking 6(1), 1998); one that runs more than a
    quarter above the mean is passed over (V. Mirrokni, M. Thorup and M. Zadimoghaddam, Consistent Hashing with Bounded
    Loads, SODA 2018). By weight: one of twice the weight has twice the keys (C. Schindelhauer and G. Schomaker,
    Weighted Distributed Hash Tables, SPAA 2005), and a client stays with what he has when a weight changes a little.
    """

    by: str = "address"

    def key(self, request: Hashed) -> bytes:
        """What is hashed of a request."""
        if self.by == "body":
            return request.body
        if self.by.startswith(_FIELD):
            field = _field(request.body, self.by.removeprefix(_FIELD))
            return field if field is not None else request.peer.encode()
        found = None if self.by == "address" else request.header(self.by.encode("latin-1"))
        return found if found is not None else request.peer.encode()

    def choose(self, candidates: Sequence[Candidate], key: bytes = b"") -> int:
        short = blake2b(key, digest_size=16).digest()
        scores = []
        for each in candidates:
            drawn = blake2b(short, digest_size=8, key=each.address.encode()[:64]).digest()
            scores.append(-each.weight / math.log(((int.from_bytes(drawn, "big") >> 12) + 0.5) / 2**52))
        most = (
            _BOUND * (sum(each.active for each in candidates) + 1) / sum(each.weight for each in candidates)
        )
        ranked = sorted(range(len(candidates)), key=scores.__getitem__, reverse=True)
        return next(
            index for index in ranked if candidates[index].active < math.ceil(most * candidates[index].weight)
        )


def _field(body: bytes, name: str) -> bytes | None:
    """What a field of a JSON object says, written in one way; None without it."""
    if len(body) > _READ:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or name not in document:
        return None
    return json.dumps(document[name], sort_keys=True).encode()


POLICIES = ("round-robin", "least-request", "hash")
"""Names of policies; ``hash:body``, ``hash:body.FIELD`` and ``hash:HEADER`` say by what, ``hash`` is by the client's
address."""


def make_policy(policy: str | Policy) -> Policy:
    """A policy by its name. Raises ServingError TIP511 for an unknown one."""
    if not isinstance(policy, str):
        return policy
    name, colon, by = policy.partition(":")
    if policy == "round-robin":
        return RoundRobin()
    if policy == "least-request":
        return LeastRequest()
    if name == "hash" and (not colon or _HEADER.fullmatch(by)):
        return ConsistentHash(by if by.startswith(_FIELD) else by.lower() or "address")
    raise ServingError(
        "TIP511",
        f"Unknown load-balancing policy {policy!r}.{did_you_mean(policy, POLICIES)}",
        fix=f"Use one of: {', '.join(POLICIES)}; hash:body, hash:body.FIELD or hash:HEADER says by what.",
    )


def key_of(policy: Policy, request: Hashed) -> bytes:
    """What a policy hashes of a request or a call; empty for one that hashes nothing."""
    return policy.key(request) if isinstance(policy, ConsistentHash) else b""


def same_policy(one: Policy, other: Policy) -> bool:
    """Whether they choose in the same way, whatever they have counted."""
    return type(one) is type(other) and (not isinstance(one, ConsistentHash) or one == other)
