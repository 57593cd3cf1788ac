"""When a training can no longer enter the top: examples worked out by hand, and what must hold for any series."""

from __future__ import annotations

import json
import random

import pytest

from tiphys.step.straggler import Curve, curve, lift, reach, verdict


def lines(values: list[float], of: int, first: int = 1) -> list[str]:
    return [json.dumps({"epoch": first + i, "of": of, "accuracy": v}) for i, v in enumerate(values)]


def seen(values: list[float], of: int = 10) -> Curve:
    return curve(lines(values, of))


@pytest.mark.parametrize(
    ("values", "of", "expected"),
    [
        ([0.5, 0.6], 4, 0.8),  # 0.6 + 0.1 for each of two epochs
        ([0.5, 0.6], 10, 1.0),  # never more than everything
        ([0.5, 0.8, 0.85, 0.86], 6, 1.0),  # the steepest of the last three: a flat epoch is no end
        ([0.5, 0.6, 0.61, 0.62, 0.63], 6, 0.64),
        ([0.5, 0.7, 0.6], 3, 0.7),  # the best counts, nothing is left
        ([0.9, 0.8, 0.7, 0.6], 10, 0.6),  # falling for three epochs: converged
        ([0.9, 0.8, 0.7], 10, 0.9),  # two are not enough; the slope is never negative
        ([0.5], 10, 1.0),  # one epoch has no slope
        ([0.5], 1, 0.5),
        ([], 10, 1.0),
    ],
)
def test_reach(values: list[float], of: int, expected: float) -> None:
    assert reach(seen(values, of)) == pytest.approx(expected)


def test_nobody_said_how_many_epochs() -> None:
    assert reach(Curve((0.1, 0.2), 2, 0)) == 1.0
    assert verdict(Curve((0.1, 0.1), 2, 0), 0.9) == ""


def test_the_reason_says_the_numbers() -> None:
    text = verdict(seen([0.5, 0.6], 4), 0.9, margin=0.05)
    assert text == "accuracy 0.6000 after epoch 2 of 4, at most 0.8500 at its end: it stays below 0.9000"
    text = verdict(seen([0.9, 0.85, 0.8, 0.7], 9), 0.8, margin=0.05)
    assert text == "accuracy 0.9000 after epoch 4 of 9, falling for 3 epochs to 0.7000: it stays below 0.8000"


def test_margin_and_lift_are_in_its_favour() -> None:
    behind = seen([0.5, 0.6], 4)
    assert verdict(behind, 0.82, margin=0.01)
    assert not verdict(behind, 0.82, margin=0.03)
    assert not verdict(behind, 0.82, margin=0.01, lift=0.02)
    assert not verdict(behind, 0.81, margin=0.01)  # equal is not below: names decide then


def test_lift_is_the_largest_and_never_negative() -> None:
    assert lift([(seen([0.9]), 0.8)]) == 0.0
    assert lift([(seen([0.8]), 0.83), (seen([0.9]), 0.91), (Curve((), 0, 0), 1.0)]) == pytest.approx(0.03)
    assert lift([]) == 0.0


def test_an_epoch_that_was_trained_again_replaces_what_followed() -> None:
    told = [*lines([0.1, 0.2, 0.3], 5), *lines([0.25], 5, first=2)]
    assert curve(told) == Curve((0.1, 0.25), 2, 5)


def test_one_that_went_on_from_an_earlier_runs_backup() -> None:
    found = curve(lines([0.7, 0.8], 10, first=8))
    assert (found.last, found.left) == (9, 1)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[1]",
        '{"epoch": 0, "accuracy": 1}',
        '{"epoch": 1}',
        '{"epoch": 1, "accuracy": NaN}',
        "[" * 9999,
        '{"epoch": "1", "accuracy": 0.5}',
        '{"epoch": 1, "accuracy": true}',
        '{"epoch": 1, "accuracy": 1' + 400 * "0" + "}",
        '{"epoch": 1, "accuracy": "x"}',
    ],
)
def test_other_lines_are_skipped(line: str) -> None:
    assert curve([line, *lines([0.5], 3)]) == Curve((0.5,), 1, 3)


def test_a_curve_that_flattens_is_never_dropped_wrongly() -> None:
    """Any training whose gains shrink ends below what it could reach at each epoch: of 500, none that would have been
    in the top was dropped before."""
    dice = random.Random(7)
    for _ in range(500):
        epochs, gain, keep = dice.randint(3, 30), dice.uniform(0.01, 0.4), dice.uniform(0.3, 0.95)
        values = [dice.uniform(0.1, 0.5)]
        for _ in range(epochs - 1):
            values.append(min(1.0, values[-1] + gain))
            gain *= keep
        place = values[-1] - dice.uniform(0.0, 0.1)
        for upto in range(1, epochs + 1):
            assert verdict(seen(values[:upto], epochs), place) == ""
