"""Which endpoint gets the next request."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tiphys.serving.balancer import ConsistentHash, LeastRequest, RoundRobin


@dataclass
class Stand:
    address: str
    active: int


@given(st.integers(1, 10), st.integers(1, 50))
def test_round_robin_is_even(count: int, rounds: int) -> None:
    policy = RoundRobin()
    stands = [Stand(str(i), 0) for i in range(count)]
    seen = Counter(policy.choose(stands) for _ in range(count * rounds))
    assert set(seen.values()) == {rounds} and len(seen) == count


@given(st.lists(st.integers(0, 100), min_size=2, max_size=10), st.integers())
def test_least_request_never_takes_the_busiest_of_distinct_loads(loads: list[int], seed: int) -> None:
    policy = LeastRequest(random.Random(seed))
    stands = [Stand(str(i), active) for i, active in enumerate(loads)]
    busiest = max(loads)
    for _ in range(20):
        index = policy.choose(stands)
        assert 0 <= index < len(stands)
        if loads.count(busiest) == 1:
            assert loads[index] != busiest


KEYS = [str(number).encode() for number in range(3000)]


def test_a_hash_spreads_keys_and_moves_only_those_of_who_comes_or_goes() -> None:
    policy = ConsistentHash()
    stands = [Stand(f"10.0.0.{number}:8501", 0) for number in range(5)]
    before = [stands[policy.choose(stands, key)].address for key in KEYS]
    assert min(Counter(before).values()) > len(KEYS) / 5 * 0.85
    gone = stands[1].address
    fewer = [each for each in stands if each.address != gone]
    after = [fewer[policy.choose(fewer, key)].address for key in KEYS]
    assert all(one == two for one, two in zip(before, after, strict=True) if one != gone)
    assert min(Counter(after).values()) > len(KEYS) / 4 * 0.85  # its keys go to all others
    turned = fewer[::-1]
    assert [turned[policy.choose(turned, key)].address for key in KEYS] == after  # whatever their order


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.binary(max_size=20))
def test_no_replica_has_much_more_than_its_share_of_what_is_hashed(loads: list[int], key: bytes) -> None:
    stands = [Stand(f"h{number}:1", active) for number, active in enumerate(loads)]
    chosen = ConsistentHash().choose(stands, key)
    assert loads[chosen] < math.ceil(1.25 * (sum(loads) + 1) / len(loads))
