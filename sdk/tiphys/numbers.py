"""Numbers in what steps, models and people wrote: finite ones, as ``float``."""

from __future__ import annotations

import math

__all__ = ["finite", "number"]


def finite(value: object, otherwise: float = math.nan) -> float:
    """The number that a value of JSON is; ``otherwise`` for what is none, a truth value, or beyond all bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return otherwise
    try:
        found = float(value)
    except OverflowError:
        return otherwise
    return found if math.isfinite(found) else otherwise


def number(text: str) -> float | None:
    """The number that a text is, if it is one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
