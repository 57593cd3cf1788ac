"""Which worker of a gang the others wait for, by the ``lag`` that workers report: how many times slower one is."""

from __future__ import annotations

from collections import defaultdict

from tiphys.records.record import StepRecord

__all__ = ["EPOCHS", "LAG", "slow_workers"]

LAG = 3.0
"""Times slower than the others: what a busy neighbour costs is less."""
EPOCHS = 2
"""In a row: one alone is chance."""


def slow_workers(step: StepRecord) -> list[str]:
    """Each worker that was ``LAG`` times slower in its last ``EPOCHS`` epochs, or more, with the numbers; named after
    its second slow epoch, so before the third has ended."""
    told: dict[str, dict[int, float]] = defaultdict(dict)
    for point in step.points:
        if point.key == "lag" and point.epoch:
            told[point.worker][point.epoch] = point.value
    found = []
    for worker, lags in sorted(told.items()):
        epochs = sorted(lags)
        since = next((i for i in range(len(epochs), 0, -1) if lags[epochs[i - 1]] < LAG), 0)
        slow = epochs[since:]
        if len(slow) >= EPOCHS:
            most = max(lags[epoch] for epoch in slow)
            found.append(
                f"{worker or 'its worker'} is {most:.0f} times slower than the others since epoch {slow[0]}"
            )
    return found
