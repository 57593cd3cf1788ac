"""Accuracy by slice of a made table."""

from __future__ import annotations

import pytest

from components.slices import by_slice, worst_slice

COLUMNS = {
    "label": ["a"] * 60 + ["b"] * 40,
    "day": ["2026-10-01"] * 30 + ["2026-10-02"] * 30 + ["2026-10-01"] * 40,
}
# one of three wrong on the second day
RIGHT = [True] * 30 + [number % 3 > 0 for number in range(30)] + [True] * 40


def test_the_right_ones_of_each_slice_and_the_worst_of_them() -> None:
    slices = by_slice(COLUMNS, RIGHT)
    assert slices == {
        "label": {"a": (50, 60), "b": (40, 40)},
        "day": {"2026-10-01": (70, 70), "2026-10-02": (20, 30)},
    }
    assert worst_slice(slices) == "day '2026-10-02': 0.6667 of 30"


def test_a_slice_of_few_says_little() -> None:
    assert worst_slice({"label": {"rare": (0, 3), "usual": (50, 60)}}) == "label 'usual': 0.8333 of 60"
    assert worst_slice({"label": {"rare": (0, 3)}}) == worst_slice({}) == ""


def test_a_column_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        by_slice({"label": ["a"]}, [True, False])
