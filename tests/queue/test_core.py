"""The pure decision of the queue: every state of a few claims, random schedules, and the cases of the textbooks."""

from __future__ import annotations

import itertools
from dataclasses import replace
from random import Random

import pytest

from tests.queue.checker import explore, random_schedule, settle, waiting
from tiphys.queue.core import (
    SETTLED,
    Admit,
    Claim,
    Grow,
    PermitPool,
    Preempt,
    QueueState,
    ask,
    decide,
    explain,
    give_back,
    resize,
    stuck,
)
from tiphys.queue.shares import Shares

WANTS = [each for each in itertools.product(range(3), repeat=2) if any(each)]


def claim(name: str, *counts: int, **given: object) -> Claim:
    each = tuple((pool, count) for pool, count in zip("ab", counts, strict=False) if count)
    return Claim(name, each, **given)  # type: ignore[arg-type]


def state(*claims: Claim, shares: Shares | None = None, **sizes: int) -> QueueState:
    pools = {name: PermitPool(size) for name, size in sizes.items()}
    return ask(QueueState(pools, shares=shares or Shares()), *claims)


def names(found: QueueState) -> list[str]:
    return [each.claim.name for each in found.holding]


@pytest.mark.parametrize("seed", range(12))
def test_every_state_of_three_requests(seed: int) -> None:
    """Each seed is another draw of kinds; benchmarks/admission.py goes through all of four."""
    chance = Random(seed)
    claims = tuple(
        claim(
            f"r{number}",
            *chance.choice(WANTS),
            user=chance.choice("uv"),
            priority=chance.randint(0, 1),
            created=float(number),
            most=chance.choice((1, 2, 2)),
            preemptible=chance.random() < 0.5,
        )
        for number in range(3)
    )
    assert explore(claims, {"a": (2, 1), "b": (2, 0)}, bypasses=chance.randint(0, 1)) > 20


@pytest.mark.parametrize("seed", range(20))
def test_random_schedules(seed: int) -> None:
    def make(chance: Random, number: int) -> Claim:
        return claim(
            f"r{number}",
            chance.randint(0, 4),
            chance.randint(1, 3),
            user=chance.choice("uvwxy"),
            priority=chance.choice((0, 0, 0, 1, 2)),
            created=float(number),
            most=chance.choice((1, 1, 1, 3)),
            preemptible=chance.random() < 0.5,
        )

    assert random_schedule(seed, 400, make, {"a": 6, "b": 8}) > 20


def test_a_gang_has_all_or_nothing() -> None:
    found = settle(state(claim("x", 2), claim("gang", 3, created=1.0), claim("y", 1, created=2.0), a=4), 0.0)
    assert names(found) == ["x", "y"]
    found = settle(give_back(found, "x", 0.0), 0.0)
    assert names(found) == ["y", "gang"]


def test_a_big_one_is_passed_so_many_times_and_no_more() -> None:
    small = [claim(f"s{number}", 1, created=float(number + 1)) for number in range(40)]
    found = state(claim("big", 2, created=0.5), *small, claim("old", 1, created=0.0), a=2)
    passes = 0
    found = settle(found, 0.0)
    while "big" not in names(found):
        first = names(found)[0]
        found = settle(give_back(found, first, 0.0), 0.0)
        passes += 1
        assert passes < 60
    assert names(found) == ["big"]
    # `old`, before it, and 20 past it had run by then
    assert len(waiting(found)) == 40 - 20


def test_the_share_is_used_up_by_a_job_that_hangs_and_the_maintenance_job_starts() -> None:
    """The textbook's deadlock: the job that would free the pool may not start, as the pool is used up."""
    found = settle(state(claim("hangs", 3, user="ml", preemptible=True), a=3), 0.0)
    found = ask(found, claim("maintenance", 1, user="admin", priority=10, created=5.0))
    assert decide(found, 5.0) == [Preempt("hangs", "maintenance")]
    found = settle(found, 5.0)
    assert names(found) == ["hangs"]
    found = settle(give_back(found, "hangs", 60.0, again=True), 60.0)  # its backup
    assert names(found) == ["maintenance"]
    assert [each.created for each in waiting(found)] == [0.0]
    found = settle(give_back(found, "maintenance", 90.0), 90.0)
    assert names(found) == ["hangs"]


def test_who_has_no_backup_is_no_victim() -> None:
    found = settle(state(claim("runs", 3), a=3), 0.0)
    found = ask(found, claim("urgent", 1, priority=10))
    assert decide(found, 0.0) == []
    why = explain(found, "urgent", 0.0)
    assert why is not None
    assert (why.pool, why.wanted, why.free, why.held_by) == ("a", 1, 0, ("runs",))


def test_no_more_victims_than_needed_the_youngest_of_the_lowest_class_first() -> None:
    found = state(a=6)
    for number, (count, priority) in enumerate([(2, 0), (2, 0), (1, 1), (1, 0)]):
        each = claim(f"v{number}", count, priority=priority, preemptible=True, created=float(number))
        found = settle(ask(found, each), float(number))
    found = ask(found, claim("head", 2, priority=5, created=9.0))
    assert decide(found, 9.0) == [Preempt("v1", "head")]


def test_what_victims_give_back_is_not_given_to_others() -> None:
    found = settle(state(claim("v", 2, preemptible=True), a=3), 0.0)
    found = settle(ask(found, claim("head", 3, priority=1, created=1.0)), 1.0)
    found = settle(ask(found, claim("late", 1, created=2.0)), 2.0)
    assert names(found) == ["v"]
    why = explain(found, "late", 2.0)
    assert why is not None and why.head == "head" and why.ahead == ("head",)


def test_who_can_do_with_less_starts_and_grows_when_nobody_waits() -> None:
    found = settle(state(claim("x", 2), claim("elastic", 1, least=1, most=4, created=1.0), a=4), 0.0)
    assert [each.units for each in found.holding] == [1, 2]
    later = SETTLED + 3.0
    waits = ask(found, claim("y", 3, created=2.0))
    assert decide(give_back(waits, "x", later), later) == []  # y wants of that pool
    assert decide(give_back(found, "x", later), later) == [Grow("elastic", 4)]


def test_who_grows_has_had_for_a_while_what_it_has() -> None:
    """To grow is to begin anew: not each time that somebody ends."""
    found = settle(state(claim("elastic", 1, most=4), a=1), 10.0)
    found = replace(found, pools={"a": PermitPool(2)})
    assert decide(found, 9.0 + SETTLED) == []
    assert decide(found, 10.0 + SETTLED) == [Grow("elastic", 2)]
    found = replace(settle(found, 10.0 + SETTLED), pools={"a": PermitPool(4)})
    assert decide(found, 11.0 + SETTLED) == []


def test_what_one_can_do_without_is_given_to_one_of_its_class_who_waits() -> None:
    """At its next backup, and not more than is needed."""
    found = settle(state(claim("elastic", 1, most=4, preemptible=True), a=4), 0.0)
    found = ask(found, claim("y", 2, created=1.0))
    assert decide(found, 1.0) == [Preempt("elastic", "y", keeps=2)]
    found = settle(found, 1.0)
    assert names(found) == ["elastic"]
    found = settle(resize(found, "elastic", 2, 60.0), 60.0)
    assert [(each.claim.name, each.units) for each in found.holding] == [("elastic", 2), ("y", 1)]
    assert decide(ask(found, claim("z", 2, created=2.0)), 61.0) == []  # one is not enough


def test_nobody_gives_to_one_who_has_used_more() -> None:
    shares = Shares(used={"greedy": 1e6})
    found = settle(state(claim("e", 1, most=4, preemptible=True, user="modest"), a=4, shares=shares), 0.0)
    assert decide(ask(found, claim("y", 1, user="greedy")), 1.0) == []
    found = settle(state(claim("e", 1, most=4, preemptible=True, user="greedy"), a=4, shares=shares), 0.0)
    assert decide(ask(found, claim("y", 1, user="modest")), 1.0) == [Preempt("e", "y", keeps=3)]


def test_a_higher_class_takes_what_is_not_needed_before_it_takes_all() -> None:
    victims = [claim(f"v{n}", 1, most=2, preemptible=True, created=float(n)) for n in range(2)]
    found = settle(state(*victims, a=4), 0.0)
    assert decide(ask(found, claim("head", 2, priority=1)), 1.0) == [
        Preempt("v0", "head", keeps=1),
        Preempt("v1", "head", keeps=1),
    ]
    assert decide(ask(found, claim("head", 4, priority=1)), 1.0) == [
        Preempt("v0", "head"),
        Preempt("v1", "head"),
    ]


def test_users_have_what_they_are_owed_and_not_what_they_ask_for() -> None:
    greedy = [claim(f"g{number}", 1, user="greedy", created=0.0) for number in range(30)]
    found = settle(state(*greedy, claim("m", 1, user="modest", created=100.0), a=4), 100.0)
    assert names(found).count("m") == 1


def test_weights_of_groups_and_users() -> None:
    shares = Shares({"one": 2.0, "two": 1.0}, {"u": ("one", 1.0), "v": ("one", 1.0), "w": ("two", 1.0)})
    many = [claim(f"{user}{number}", 1, user=user) for user in "uvw" for number in range(30)]
    found = settle(state(*many, shares=shares, a=12), 0.0)
    assert {user: sum(name[0] == user for name in names(found)) for user in "uvw"} == {"u": 4, "v": 4, "w": 4}


def test_one_that_can_never_start_stops_nobody() -> None:
    found = settle(state(claim("huge", 5), claim("x", 1, created=1.0), a=3), 0.0)
    assert names(found) == ["x"]
    why = explain(found, "huge", 0.0)
    assert why is not None and why.never


def test_locks_on_two_levels_that_wait_for_each_other_are_found() -> None:
    """Workflow lock a and node lock b, against b and a."""
    found = settle(state(claim("one", 1, 0), claim("two", 0, 1), a=1, b=1), 0.0)
    found = settle(ask(found, claim("one/n", 0, 1, within="one"), claim("two/n", 1, 0, within="two")), 1.0)
    assert stuck(found) == {"one/n": ("two",), "two/n": ("one",)}
    assert stuck(give_back(found, "two/n", 2.0)) == {}


def test_who_waits_for_one_that_goes_on_is_not_stuck() -> None:
    found = settle(state(claim("one", 1, 0), claim("two", 0, 1), a=1, b=1), 0.0)
    found = settle(ask(found, claim("one/n", 0, 1, within="one")), 1.0)
    assert stuck(found) == {}


def test_an_admission_says_whom_it_passes() -> None:
    found = settle(state(claim("x", 2), a=3), 0.0)
    found = ask(found, claim("big", 2, created=1.0), claim("small", 1, created=2.0))
    assert decide(found, 2.0) == [Admit("small", 1, ("big",))]
