"""Several models' answers for the same rows as one (plain lists; numpy is not needed)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import Any, NamedTuple

from tiphys.errors import ServingError

__all__ = ["Vote", "mean", "vote"]

Probabilities = Sequence[Sequence[float]]


class Vote(NamedTuple):
    """The winner of one row: its class, how many models chose it, and their share (of the weights)."""

    label: int
    votes: int
    share: float


def _check(answers: Sequence[Probabilities], weights: Sequence[float] | None) -> Sequence[float]:
    """The weights. Raises ServingError TIP526 unless all answers have the same shape [rows][classes]."""
    if not answers:
        raise ServingError("TIP526", "There is no answer to aggregate.")
    shapes = [(len(answer), sorted({len(row) for row in answer})) for answer in answers]
    if any(shape != shapes[0] for shape in shapes) or len(shapes[0][1]) > 1:
        raise ServingError(
            "TIP526",
            "The models' answers have different shapes.",
            cause="; ".join(f"{rows} rows of {'/'.join(map(str, sizes))}" for rows, sizes in shapes),
        )
    if weights is None:
        return [1.0] * len(answers)
    if len(weights) != len(answers) or not all(0 <= each < math.inf for each in weights) or not any(weights):
        raise ServingError(
            "TIP526",
            f"The weights {list(weights)} are not those of {len(answers)} answers.",
            fix="One for each, from 0; one of them above it.",
        )
    return weights


def mean(answers: Sequence[Probabilities], weights: Sequence[float] | None = None) -> list[list[float]]:
    """The mean of the models' probabilities, [rows][classes]; ``weights``: of each model, for example its accuracy.
    Raises ServingError TIP526."""
    shares = _check(answers, weights)
    total = sum(shares)
    return [
        [sum(map(mul, values, shares)) / total for values in zip(*rows, strict=True)]
        for rows in zip(*answers, strict=True)
    ]


def vote(answers: Sequence[Probabilities], weights: Sequence[float] | None = None) -> list[Vote]:
    """The class that most models put first, for each row; ``weights``: how much the vote of each model counts. A tie
    goes to the class whose mean probability is higher, then to the lower class. Raises ServingError TIP526."""
    shares = _check(answers, weights)
    results = []
    for rows in zip(*answers, strict=True):
        chosen = [max(range(len(row)), key=lambda label: (row[label], -label)) for row in rows]
        sums = dict.fromkeys(chosen, 0.0)
        for label, share in zip(chosen, shares, strict=True):
            sums[label] += share

        def rank(label: int, rows: Sequence[Sequence[float]] = rows, sums: dict[int, float] = sums) -> Any:
            return (
                sums[label],
                sum(row[label] * share for row, share in zip(rows, shares, strict=True)),
                -label,
            )

        label = max(sums, key=rank)
        results.append(Vote(label, chosen.count(label), sums[label] / sum(shares)))
    return results
