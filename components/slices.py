"""Accuracy by slice: of the examples that share a value of a column, such as a class, a day or a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["by_slice", "worst_slice"]

Slices = Mapping[str, Mapping[str, tuple[int, int]]]
"""Column, value: how many examples were answered right, of how many."""


def by_slice(
    columns: Mapping[str, Sequence[str]], right: Sequence[bool]
) -> dict[str, dict[str, tuple[int, int]]]:
    """Count the right answers of each slice; each column has one value for each of ``right``."""
    slices: dict[str, dict[str, tuple[int, int]]] = {}
    for column, values in columns.items():
        of = slices.setdefault(column, {})
        for value, good in zip(values, right, strict=True):
            hits, rows = of.get(value, (0, 0))
            of[value] = (hits + bool(good), rows + 1)
    return slices


def worst_slice(slices: Slices, least_rows: int = 30) -> str:
    """The slice with the lowest accuracy, in words; empty when none has ``least_rows``, of which fewer say little."""
    judged = [
        (hits / rows, column, value, rows)
        for column, values in slices.items()
        for value, (hits, rows) in values.items()
        if rows >= least_rows
    ]
    if not judged:
        return ""
    accuracy, column, value, rows = min(judged)
    return f"{column} {value!r}: {accuracy:.4f} of {rows}"
