"""The chance of a fall, beside all the orders of the same numbers, one after the other."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import combinations, permutations

import pytest

from tiphys.registry.trend import chance_of_fall


def counted(values: list[float]) -> Fraction:
    def falling(order: tuple[float, ...]) -> int:
        return sum(a > b for a, b in combinations(order, 2))

    orders = [falling(order) for order in permutations(values)]
    return Fraction(sum(each >= falling(tuple(values)) for each in orders), len(orders))


@pytest.mark.parametrize("seed", range(60))
def test_it_is_what_counting_all_orders_gives(seed: int) -> None:
    chosen = random.Random(seed)
    values = [chosen.choice([0.9, 0.91, 0.92, 0.93, 0.94]) for _ in range(chosen.randrange(8))]
    assert chance_of_fall(values) == counted(values)


@pytest.mark.parametrize(
    ("values", "chance"),
    [
        ([4, 3, 2, 1], Fraction(1, 24)),
        (
            [5, 4, 3, 1, 2],
            Fraction(1 + 4, 120),
        ),  # the one that falls always, and those with one pair exchanged
        ([1, 2, 3, 4], Fraction(1)),
        ([2, 2, 1, 1], Fraction(1, 6)),  # one of C(4, 2) orders
    ],
)
def test_by_hand(values: list[float], chance: Fraction) -> None:
    assert chance_of_fall(values) == chance


@pytest.mark.parametrize("values", [[], [0.9], [0.9] * 20])
def test_what_cannot_fall_has_not(values: list[float]) -> None:
    assert chance_of_fall(values) == 1


def test_noise_is_taken_for_a_fall_no_oftener_than_it_says() -> None:
    chosen = random.Random(3)
    found = sum(chance_of_fall([chosen.gauss(0.9, 0.01) for _ in range(8)]) <= 0.05 for _ in range(4000))
    assert 0.02 < found / 4000 < 0.06


def test_many_numbers() -> None:
    assert chance_of_fall(list(range(50, 0, -1))) == Fraction(1, math.factorial(50))
