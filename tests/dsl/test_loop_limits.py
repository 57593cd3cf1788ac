"""What may be written as limits of a loop."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dsl.told import check_told
from tiphys import Pipeline, component, for_each


@component
def train(rate: float) -> float:
    return rate


@pytest.mark.parametrize(
    ("limits", "code", "words"),
    [
        ({"parallel": 0}, "TIP109", "at least 1"),
        ({"parallel": 1.5}, "TIP109", "at least 1"),
        ({"parallel": True}, "TIP109", "at least 1"),
        ({"parallel": "2"}, "TIP109", "at least 1"),
        ({"tolerate": -1}, "TIP109", "share between 0 and 1"),
        ({"tolerate": 1.5}, "TIP109", "a share is at most 1.0"),
        ({"tolerate": float("nan")}, "TIP109", "share between 0 and 1"),
        ({"tolerate": True}, "TIP109", "share between 0 and 1"),
        ({"until": 0.9}, "TIP105", "until=lambda trial"),
    ],
)
def test_limits_that_cannot_be(limits: dict[str, Any], code: str, words: str) -> None:
    check_told(lambda: for_each([1, 2], **limits), code, words, __file__)


def test_a_condition_is_one_of_a_trial() -> None:
    def loop(until: Any) -> Any:
        with Pipeline("p"):
            other = train(rate=0.1)
            item = for_each([0.1, 0.2], until=until(other))
            return train(rate=item).result

    check_told(
        lambda: loop(lambda other: lambda trial: other.result > 1), "TIP118", "nothing of the trial", __file__
    )
    check_told(lambda: loop(lambda other: lambda trial: True), "TIP114", "not a condition", __file__)
    check_told(lambda: loop(lambda other: lambda trial: trial.acc > 1), "TIP106", "no output 'acc'", __file__)
    check_told(
        lambda: loop(lambda other: lambda trial: trial.named("x").result > 1), "TIP105", "not named", __file__
    )
