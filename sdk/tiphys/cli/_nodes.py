"""The times of a workflow's status as numbers."""

from __future__ import annotations

import calendar
import time

__all__ = ["moment"]


def moment(text: object) -> float:
    """Seconds since the epoch of an RFC 3339 time in UTC, 0 when there is none."""
    if not text:
        return 0.0
    head, _, fraction = str(text).rstrip("Z").partition(".")
    try:
        whole = calendar.timegm(time.strptime(head, "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return 0.0
    return whole + (float(f"0.{fraction}") if fraction.isdigit() else 0.0)
