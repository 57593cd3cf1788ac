"""Use and shares: against sums over small steps of time, and against fractions by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tiphys.queue.shares import Shares


def summed(start: float, rate: float, seconds: float, half_life: float) -> float:
    """Use after a time, second by second."""
    use = start
    for _ in range(int(seconds)):
        use = use * 0.5 ** (1 / half_life) + rate
    return use


@pytest.mark.parametrize(
    ("start", "rate", "seconds"), [(0.0, 3.0, 5000), (900.0, 0.0, 2000), (50_000.0, 1.5, 9000)]
)
def test_use_grows_with_what_is_held_and_is_forgotten(start: float, rate: float, seconds: int) -> None:
    shares = Shares(used={"u": start}, half_life=3600.0).after({"u": rate}, float(seconds))
    assert shares.used["u"] == pytest.approx(summed(start, rate, seconds, 3600.0), rel=1e-3)
    assert shares.at == seconds


def test_in_many_steps_as_in_one() -> None:
    once = Shares(used={"u": 7.0}).after({"u": 2.0, "v": 1.0}, 50_000.0)
    often = Shares(used={"u": 7.0})
    for moment in range(0, 50_001, 100):
        often = often.after({"u": 2.0, "v": 1.0}, float(moment))
    assert often.used == pytest.approx(once.used)


def test_time_does_not_go_back() -> None:
    shares = Shares(used={"u": 5.0}, at=100.0)
    assert shares.after({"u": 9.0}, 50.0) is shares


def test_groups_come_before_their_users() -> None:
    """A user who used little waits behind everybody of a group that used less than his."""
    shares = Shares(
        {"big": 3.0, "small": 1.0},
        {"a": ("big", 2.0), "b": ("big", 1.0), "c": ("small", 1.0), "d": ("small", 1.0)},
        {"a": 90.0, "b": 60.0, "c": 1.0, "d": 50.0},
    )
    found = shares.places("abcd", {"c": 2.0})
    by_hand = {
        "a": (Fraction(150, 3), Fraction(90, 2)),
        "b": (Fraction(150, 3), Fraction(60)),
        "c": (Fraction(53), Fraction(3)),
        "d": (Fraction(53), Fraction(50)),
    }
    assert found == {user: tuple(map(float, place)) for user, place in by_hand.items()}
    assert sorted("abcd", key=lambda user: found[user]) == ["a", "b", "c", "d"]


def test_who_is_in_no_group_is_one_of_his_own() -> None:
    found = Shares(used={"x": 4.0}).places(["x", "y"], {})
    assert found == {"x": (4.0, 4.0), "y": (0.0, 0.0)}
