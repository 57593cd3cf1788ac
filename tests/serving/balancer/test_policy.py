"""Which endpoint gets the next request."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.net import HttpRequest
from tiphys.serving.balancer import ConsistentHash, LeastRequest, RoundRobin
from tiphys.serving.balancer.policy import key_of, make_policy


@dataclass
class Stand:
    address: str
    active: int
    weight: float = 1.0


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


WEIGHTS = (9.0, 3.0, 1.0)


def weighted() -> list[Stand]:
    return [Stand(f"h{number}:1", 0, weight) for number, weight in enumerate(WEIGHTS)]


def test_weights_are_shares_of_what_comes_in_turn() -> None:
    """And no one gets its share in one go: of 13 requests the second gets one of each four or five."""
    policy, stands = RoundRobin(), weighted()
    for _ in range(20):
        turns = [policy.choose(stands) for _ in range(13)]
        assert Counter(turns) == {0: 9, 1: 3, 2: 1}
        places = [place for place, chosen in enumerate(turns) if chosen == 1]
        assert min(b - a for a, b in itertools.pairwise(places)) >= 3


@pytest.mark.parametrize("policy", [LeastRequest(random.Random(1)), ConsistentHash()])
def test_weights_are_shares_of_what_is_drawn_or_hashed(policy: LeastRequest | ConsistentHash) -> None:
    stands = weighted()
    more = ({"key": key} if isinstance(policy, ConsistentHash) else {} for key in KEYS)
    seen = Counter(policy.choose(stands, **each) for each in more)  # type: ignore[arg-type]
    for index, weight in enumerate(WEIGHTS):
        share = weight / sum(WEIGHTS) * len(KEYS)
        assert abs(seen[index] - share) < 5 * math.sqrt(share)  # five times what chance moves it


def test_the_busier_of_two_is_the_one_that_runs_more_for_its_weight() -> None:
    stands = [Stand("a:1", 4, 4.0), Stand("b:1", 2, 1.0)]
    assert {LeastRequest(random.Random(seed)).choose(stands) for seed in range(20)} == {0}


def test_who_is_hashed_stays_where_he_is_while_a_weight_grows_elsewhere() -> None:
    """A canary gets more clients: those who had it keep it, and nobody moves between the others."""
    policy, stands = ConsistentHash(), weighted()
    before = [policy.choose(stands, key) for key in KEYS]
    stands[2].weight = 3.0
    after = [policy.choose(stands, key) for key in KEYS]
    assert all(one == two or two == 2 for one, two in zip(before, after, strict=True))
    assert after.count(2) > before.count(2)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.floats(0.01, 100)), min_size=1, max_size=8),
    st.binary(max_size=20),
    st.integers(),
)
def test_there_is_always_one(loads: list[tuple[int, float]], key: bytes, seed: int) -> None:
    stands = [Stand(f"h{number}:1", active, weight) for number, (active, weight) in enumerate(loads)]
    for index in (
        ConsistentHash().choose(stands, key),
        LeastRequest(random.Random(seed)).choose(stands) if len(stands) > 1 else 0,
        RoundRobin().choose(stands),
    ):
        assert 0 <= index < len(stands)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"user": "u1", "instances": [1]}', b'"u1"'),
        (b' {"instances": [2], "user":  "u1"}', b'"u1"'),
        (b'{"user": {"b": 1, "a": 2}}', b'{"a": 2, "b": 1}'),
        (b'{"user": null}', b"null"),
        (b'{"User": "u1"}', b"10.0.0.9"),
        (b'["user"]', b"10.0.0.9"),
        (b'{"user": ', b"10.0.0.9"),
        (b"\xff", b"10.0.0.9"),
        (b"", b"10.0.0.9"),
        (b"[" * 200_000, b"10.0.0.9"),
        (b'{"user": "u1", "x": "' + b"x" * 300_000 + b'"}', b"10.0.0.9"),
    ],
)
def test_a_field_of_the_body(body: bytes, key: bytes) -> None:
    policy = make_policy("hash:body.user")
    assert key_of(policy, HttpRequest("POST", "/v1/models/m:predict", [], body, "10.0.0.9")) == key
