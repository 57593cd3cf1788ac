"""The tails against whole numbers without any rounding, and what is called a hole."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from components.losses import ALPHA, Hole, binomial_tail, holes, hypergeometric_tail

pytestmark = pytest.mark.long

CLASSES = {f"class {number}": 5_400 for number in range(10)}


@pytest.mark.parametrize(
    ("rows", "of_value", "lost", "of_it"),
    [(20, 5, 4, 2), (54_000, 5_400, 54, 54), (54_000, 5_400, 60, 17), (1_000, 1, 10, 1), (100, 100, 7, 7)],
)
def test_the_hypergeometric_tail(rows: int, of_value: int, lost: int, of_it: int) -> None:
    ways = sum(
        comb(of_value, k) * comb(rows - of_value, lost - k) for k in range(of_it, min(of_value, lost) + 1)
    )
    exact = Fraction(ways, comb(rows, lost))
    assert hypergeometric_tail(rows, of_value, lost, of_it) == pytest.approx(float(exact), rel=1e-6)


@pytest.mark.parametrize(("rows", "part", "lost"), [(60, "1/10", 15), (5_000, "1/1000", 12), (10, "1/2", 10)])
def test_the_binomial_tail(rows: int, part: str, lost: int) -> None:
    p = Fraction(part)
    exact = sum(comb(rows, k) * p**k * (1 - p) ** (rows - k) for k in range(lost, rows + 1))
    assert binomial_tail(rows, float(p), lost) == pytest.approx(float(exact), rel=1e-6)


def test_no_more_than_the_mean_is_nothing() -> None:
    assert binomial_tail(1_000, 0.01, 10) == hypergeometric_tail(1_000, 100, 10, 1) == 1.0
    assert binomial_tail(1_000, 0.0, 1) == 0.0


def test_one_that_is_gone_does_not_hide_the_hundredth_part_of_another() -> None:
    found = {**CLASSES, "class 3": 0, "class 7": 5_346}
    assert holes(CLASSES, found, ALPHA) == [Hole("class 3", 5_400, 5_400), Hole("class 7", 5_400, 54)]


def test_even_losses_are_no_hole() -> None:
    assert holes(CLASSES, dict.fromkeys(CLASSES, 2_700), ALPHA) == []


def test_seven_rows_of_one_class_may_be_chance_and_eight_may_not() -> None:
    """0.1 ** 7 is the bound: a millionth, shared out to ten classes."""
    assert holes(CLASSES, {**CLASSES, "class 0": 5_394}, ALPHA) == []
    assert [hole.value for hole in holes(CLASSES, {**CLASSES, "class 0": 5_392}, ALPHA)] == ["class 0"]


def test_slack_is_no_loss() -> None:
    assert holes({"a": 1, "b": 100}, {"b": 99}, ALPHA, slack=1) == []
