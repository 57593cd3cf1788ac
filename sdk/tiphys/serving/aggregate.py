"""Several models' answers for the same rows as one (plain lists; numpy is not needed)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tiphys.errors import ServingError

__all__ = ["Vote", "mean", "vote"]

Probabilities = Sequence[Sequence[float]]


class Vote(NamedTuple):
    """The winner of one row: its class, how many models chose it, and their share."""

    label: int
    votes: int
    share: float


def _check(answers: Sequence[Probabilities]) -> None:
    """Raises ServingError TIP526 unless all have the same shape [rows][classes]."""
    if not answers:
        raise ServingError("TIP526", "There is no answer to aggregate.")
    shapes = [(len(answer), sorted({len(row) for row in answer})) for answer in answers]
    if any(shape != shapes[0] for shape in shapes) or len(shapes[0][1]) > 1:
        raise ServingError(
            "TIP526",
            "The models' answers have different shapes.",
            cause="; ".join(f"{rows} rows of {'/'.join(map(str, sizes))}" for rows, sizes in shapes),
        )


def mean(answers: Sequence[Probabilities]) -> list[list[float]]:
    """The mean of the models' probabilities, [rows][classes]. Raises ServingError TIP526."""
    _check(answers)
    count = len(answers)
    return [
        [sum(values) / count for values in zip(*rows, strict=True)] for rows in zip(*answers, strict=True)
    ]


def vote(answers: Sequence[Probabilities]) -> list[Vote]:
    """The class that most models put first, for each row. A tie goes to the class whose mean probability is
    higher, then to the lower class. Raises ServingError TIP526."""
    _check(answers)
    results = []
    for rows in zip(*answers, strict=True):
        counts: dict[int, int] = {}
        for row in rows:
            first = max(range(len(row)), key=lambda label: (row[label], -label))
            counts[first] = counts.get(first, 0) + 1
        label = max(counts, key=lambda c: (counts[c], sum(row[c] for row in rows), -c))
        results.append(Vote(label, counts[label], counts[label] / len(rows)))
    return results
