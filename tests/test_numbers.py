from __future__ import annotations

import math

import pytest

from tiphys.numbers import finite, number


@pytest.mark.parametrize("value", [True, None, "1", [1], math.nan, math.inf, 10**400])
def test_what_is_no_finite_number(value: object) -> None:
    assert math.isnan(finite(value))
    assert finite(value, 0.0) == 0.0


def test_numbers() -> None:
    assert [finite(3), finite(0.5), number("3"), number("1e3"), number("x"), number("nan"), number("1e999")] == [
        3.0, 0.5, 3.0, 1000.0, None, None, None,
    ]  # fmt: skip
