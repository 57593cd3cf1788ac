"""The policy of a pool, by what must hold of it whatever happens."""

from __future__ import annotations

import itertools
import random

import pytest

from tiphys.queue.pool import Short, Wanted, admit


def test_the_first_that_are_free() -> None:
    assert admit([Wanted("a", 2, ("0", "1", "2"))], {"0"}) == {"a": ("1", "2")}


def test_all_or_nothing_and_nobody_goes_past_who_needs_many() -> None:
    both = ("0", "1")
    answers = admit([Wanted("many", 2, both), Wanted("few", 1, both)], {"0"})
    assert answers == {"many": Short(free=1, before=0), "few": Short(free=1, before=1)}


def test_who_may_have_others_goes_on() -> None:
    answers = admit([Wanted("many", 2, ("0", "1")), Wanted("few", 1, ("0", "2"))], {"1"})
    assert answers == {"many": Short(free=1, before=0), "few": ("2",)}


def test_what_can_never_be_met_keeps_nobody_waiting() -> None:
    answers = admit([Wanted("never", 3, ("0", "1")), Wanted("few", 1, ("0", "1"))], set())
    assert answers == {"never": Short(free=2, before=0), "few": ("0",)}


def test_every_small_case_by_one_that_tries_all() -> None:
    """Three requests over three members: who gets something is found by going through them one at a time, each with
    what is neither held nor needed by an earlier one that could not be met."""
    members = ("0", "1", "2")
    subsets = [each for size in range(4) for each in itertools.combinations(members, size)]
    kinds = [Wanted("", count, each) for each in subsets for count in (1, 2, 3) if count <= len(each)]
    for held in subsets:
        for trio in itertools.product(kinds, repeat=3):
            waiting = [Wanted(name, each.count, each.members) for name, each in zip("abc", trio, strict=True)]
            answers = admit(waiting, set(held))
            granted: dict[str, str] = {}
            for position, request in enumerate(waiting):
                answer = answers[request.holder]
                if isinstance(answer, Short):
                    continue
                assert len(answer) == request.count and set(answer) <= set(request.members)
                for member in answer:
                    assert member not in held and member not in granted, "two have one"
                    granted[member] = request.holder
                for earlier in waiting[
                    :position
                ]:  # it took nothing that an earlier one, still short, waits for
                    if isinstance(answers[earlier.holder], Short):
                        assert not set(answer) & set(earlier.members)
            if len(set(held)) == 0:
                assert not isinstance(answers["a"], Short), "the head of an idle pool waits"


@pytest.mark.parametrize("seed", range(200))
def test_random_schedules(seed: int) -> None:
    chance = random.Random(seed)
    members = tuple(map(str, range(chance.randint(1, 8))))
    waiting: list[Wanted] = []
    held: dict[str, tuple[str, ...]] = {}
    numbers = itertools.count()
    passed: dict[str, int] = {}  # how many that came later, and want the same, were served before it
    for _ in range(400):
        move = chance.random()
        if move < 0.45:
            some = tuple(chance.sample(members, chance.randint(1, len(members))))
            allowed = members if chance.random() < 0.7 else some
            waiting.append(Wanted(f"r{next(numbers)}", chance.randint(1, len(allowed)), allowed))
        elif held and move < 0.9:  # one ends, or its engine dies
            del held[chance.choice(sorted(held))]
        elif waiting:  # one gives up
            waiting.remove(chance.choice(waiting))
        answers = admit(waiting, {each for group in held.values() for each in group})
        for request in list(waiting):
            answer = answers[request.holder]
            if isinstance(answer, Short):
                continue
            for earlier in waiting[: waiting.index(request)]:
                if set(earlier.members) & set(answer):
                    passed[earlier.holder] = passed.get(earlier.holder, 0) + 1
            waiting.remove(request)
            held[request.holder] = answer
            assert len(set(answer)) == request.count and set(answer) <= set(request.members)
        everything = [each for group in held.values() for each in group]
        assert len(everything) == len(set(everything)), "two have one"
    assert not passed, "somebody took what an earlier one waited for"
    ends = 0
    while waiting:  # no more come: everybody is served
        if held:
            del held[min(held)]
        ends += 1
        assert ends <= 2 * next(numbers) + 10, "somebody waits for ever"
        answers = admit(waiting, {each for group in held.values() for each in group})
        for request in list(waiting):
            if not isinstance(answer := answers[request.holder], Short):
                waiting.remove(request)
                held[request.holder] = answer
