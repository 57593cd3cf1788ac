"""What expressions may ask of a time or a duration (methods of Go's ``time.Time`` and ``Duration``), and their JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from tiphys.expr.durations import format_go
from tiphys.expr.gotime import format_layout

Value = Any

__all__ = ["member", "nanoseconds", "text"]


def nanoseconds(span: timedelta) -> int:
    """Return a duration as Go counts it."""
    return (span.days * 86400 + span.seconds) * 10**9 + span.microseconds * 1000


def text(moment: datetime) -> str:
    """Return a time as Go's JSON has it (RFC 3339 with as many decimals as needed)."""
    return format_layout(moment, "2006-01-02T15:04:05.999999999Z07:00")


def _in(moment: datetime) -> Callable[[tzinfo], datetime]:
    return lambda zone: moment.astimezone(zone)


_TIME: dict[str, Callable[[datetime], Callable[..., Value]]] = {
    "Year": lambda t: lambda: t.year,
    "Month": lambda t: lambda: t.month,
    "Day": lambda t: lambda: t.day,
    "Hour": lambda t: lambda: t.hour,
    "Minute": lambda t: lambda: t.minute,
    "Second": lambda t: lambda: t.second,
    "Nanosecond": lambda t: lambda: t.microsecond * 1000,
    "Weekday": lambda t: lambda: t.isoweekday() % 7,
    "YearDay": lambda t: lambda: t.timetuple().tm_yday,
    "Unix": lambda t: lambda: int(t.timestamp()),
    "UnixMilli": lambda t: lambda: int(t.timestamp() * 1000),
    "Format": lambda t: lambda layout: format_layout(t, layout),
    "String": lambda t: lambda: format_layout(t, "2006-01-02 15:04:05.999999999 -0700 MST"),
    "In": _in,
    "UTC": lambda t: lambda: t.astimezone(UTC),
    "Add": lambda t: lambda span: t + span,
    "AddDate": lambda t: lambda years, months, days: _add_date(t, years, months, days),
    "Sub": lambda t: lambda other: t - other,
    "Before": lambda t: lambda other: t < other,
    "After": lambda t: lambda other: t > other,
    "Equal": lambda t: lambda other: t == other,
    "IsZero": lambda t: lambda: t.year == 1,
    "Truncate": lambda t: lambda span: t - (t - datetime(1, 1, 1, tzinfo=UTC)) % span,
}
_DURATION: dict[str, Callable[[timedelta], Callable[..., Value]]] = {
    "Hours": lambda d: lambda: d.total_seconds() / 3600,
    "Minutes": lambda d: lambda: d.total_seconds() / 60,
    "Seconds": lambda d: lambda: d.total_seconds(),
    "Milliseconds": lambda d: lambda: nanoseconds(d) // 10**6,
    "Nanoseconds": lambda d: lambda: nanoseconds(d),
    "String": lambda d: lambda: format_go(d.total_seconds()),
    "Abs": lambda d: lambda: abs(d),
}


def _add_date(moment: datetime, years: int, months: int, days: int) -> datetime:
    month = moment.month - 1 + months
    first = moment.replace(year=moment.year + years + month // 12, month=month % 12 + 1, day=1)
    return first + timedelta(days=moment.day - 1 + days)


def member(value: datetime | timedelta, name: Value) -> Callable[..., Value] | None:
    """Return a method of a time or a duration, or None."""
    if isinstance(value, datetime):
        of_time = _TIME.get(name)
        return of_time(value) if of_time else None
    of_span = _DURATION.get(name)
    return of_span(value) if of_span else None
