"""The times of a workflow's status as numbers."""

from __future__ import annotations

from tiphys.argo.time import is_time, seconds

__all__ = ["moment"]


def moment(text: object) -> float:
    """Seconds since the epoch of an RFC 3339 time, 0 when there is none."""
    if not text:
        return 0.0
    return seconds(str(text)) if is_time(str(text)) else 0.0
