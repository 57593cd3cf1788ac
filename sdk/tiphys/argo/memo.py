"""Memoization's rule of age: until when a template takes an earlier result."""

from __future__ import annotations

from tiphys.expr.durations import parse_go

__all__ = ["too_old"]


def too_old(created: float | None, max_age: str, now: float) -> bool:
    """Whether a result made at ``created`` (seconds; None: nobody knows, Go's zero time) is older than ``max_age``.

    That is a Go duration; with an empty text nothing is too old. Raises ValueError for another text.
    """
    if not max_age:
        return False
    age = parse_go(max_age)
    return created is None or now - created > age
