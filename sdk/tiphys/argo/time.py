"""Times as Kubernetes writes and reads them (metav1.Time): RFC 3339, written in UTC and whole seconds."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from tiphys.lazy import regex

__all__ = ["ZERO", "is_time", "moment", "rfc3339", "seconds"]

ZERO = "0001-01-01T00:00:00Z"  # Go's time that was never set
_TIME = regex(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)


def rfc3339(moment: float) -> str:
    """A moment (seconds since the epoch) as Kubernetes writes it."""
    found = datetime.fromtimestamp(math.floor(moment), UTC)
    return f"{found:%Y}".zfill(4) + f"{found:-%m-%dT%H:%M:%SZ}"


def is_time(text: str) -> bool:
    """Whether Go reads a text as RFC 3339."""
    return _read(text) is not None


def seconds(text: str) -> float:
    """The seconds since the epoch of an RFC 3339 time, to the millisecond.

    Raises
    ------
    ValueError
        It is none.
    """
    found = _read(text)
    if found is None:
        raise ValueError(f"{text!r} is no RFC 3339 time")
    return found


def moment(text: str) -> datetime:
    """The same as a datetime in UTC. Raises ValueError."""
    return datetime.fromtimestamp(seconds(text), UTC)


def _read(text: str) -> float | None:
    found = _TIME.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    fraction, sign, hours, minutes = found.groups()[6:]
    try:
        whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None
    offset = int(hours or 0) * 3600 + int(minutes or 0) * 60
    if int(hours or 0) > 24 or int(minutes or 0) > 60:
        return None
    whole += offset if sign == "-" else -offset
    return whole + int((fraction or "0")[:3].ljust(3, "0")) / 1000
