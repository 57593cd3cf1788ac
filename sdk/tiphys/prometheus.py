"""Prometheus' text format (0.0.4): labels and help, whatever is in them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

__all__ = ["Histogram", "escaped", "labelled"]


def escaped(text: str) -> str:
    """The value of a label, between its quotes."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def labelled(labels: Iterable[tuple[str, str]]) -> str:
    """``{name="value",…}``; nothing for no labels."""
    inside = ",".join(f'{name}="{escaped(value)}"' for name, value in labels)
    return f"{{{inside}}}" if inside else ""


class Histogram:
    """How often a value was not above each bound. ``digits``: of the sum, behind the point."""

    def __init__(self, bounds: Sequence[float], *, digits: int = 0) -> None:
        self._bounds, self._digits = bounds, digits
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str, labels: Sequence[tuple[str, str]] = ()) -> list[str]:
        """Its samples."""
        total, found = 0, []
        for bound, count in zip(
            (*(f"{each:.6g}" for each in self._bounds), "+Inf"), self._counts, strict=True
        ):
            total += count
            found.append(f"{name}_bucket{labelled([*labels, ('le', bound)])} {total}")
        ending = labelled(labels)
        return [*found, f"{name}_sum{ending} {self._sum:.{self._digits}f}", f"{name}_count{ending} {total}"]
