"""What expressions may ask of Go's values (methods of times, durations, months, locations, versions); their JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from tiphys.expr.durations import format_go
from tiphys.expr.gotime import format_layout, zone_name
from tiphys.expr.semver import SemverVersion

Value = Any

__all__ = ["Named", "go_type", "member", "nanoseconds", "show", "text"]


def nanoseconds(span: timedelta) -> int:
    """Return a duration as Go counts it."""
    return (span.days * 86400 + span.seconds) * 10**9 + span.microseconds * 1000


def text(moment: datetime) -> str:
    """Return a time as Go's JSON has it (RFC 3339 with as many decimals as needed)."""
    return format_layout(moment, "2006-01-02T15:04:05.999999999Z07:00")


class Named:
    """A ``time.Month`` or ``time.Weekday``: a number of a kind of its own, equal to no plain number."""

    __slots__ = ("kind", "number")

    def __init__(self, kind: str, number: int) -> None:
        self.kind = kind
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and (self.kind, self.number) == (other.kind, other.number)

    def __hash__(self) -> int:
        return hash((self.kind, self.number))

    def __str__(self) -> str:
        # 1 January 2001 was a Monday
        if self.kind == "time.Month":
            return datetime(2001, self.number, 1).strftime("%B")
        return datetime(2001, 1, self.number or 7).strftime("%A")


def go_type(value: Value) -> str:
    """Return the type of one of Go's values as ``type()`` names it; an empty string for what JSON has, too."""
    if isinstance(value, Named):
        return value.kind
    for kind, name in _GO_TYPES:
        if isinstance(value, kind):
            return name
    return ""


_GO_TYPES: tuple[tuple[type, str], ...] = (
    (datetime, "time.Time"),
    (timedelta, "time.Duration"),
    (tzinfo, "time.Location"),
    (SemverVersion, "github.com/Masterminds/semver/v3.Version"),
)


def show(value: datetime | timedelta | tzinfo) -> str:
    """Return what ``String`` of a time, a duration or a location says."""
    if isinstance(value, datetime):
        return format_layout(value, "2006-01-02 15:04:05.999999999 -0700 MST")
    if isinstance(value, timedelta):
        return format_go(value.total_seconds())
    name: str = getattr(value, "key", "")  # of a ZoneInfo, whose module is slow to import
    return name or ("UTC" if value == UTC else "")


def _round(value: Value, unit: timedelta) -> Value:
    """Return a time or a duration rounded to a multiple of ``unit``, halves away from zero."""
    if unit <= timedelta(0):
        return value
    if isinstance(value, datetime):
        return value + (_round(value - _ZERO, unit) - (value - _ZERO))
    size, step = abs(value), unit
    whole = (size + step / 2) // step * step
    return whole if value >= timedelta(0) else -whole


def _truncate(value: Value, unit: timedelta) -> Value:
    if unit <= timedelta(0):
        return value
    if isinstance(value, datetime):
        return value - (value - _ZERO) % unit
    whole = abs(value) // unit * unit
    return whole if value >= timedelta(0) else -whole


_ZERO = datetime(1, 1, 1, tzinfo=UTC)


def _in(moment: datetime) -> Callable[[tzinfo], datetime]:
    return lambda zone: moment.astimezone(zone)


def _since_epoch(moment: datetime, unit: timedelta) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // unit


def _compare(moment: datetime, other: datetime) -> int:
    return (moment > other) - (moment < other)


_TIME: dict[str, Callable[[datetime], Callable[..., Value]]] = {
    "Year": lambda t: lambda: t.year,
    "Month": lambda t: lambda: Named("time.Month", t.month),
    "Day": lambda t: lambda: t.day,
    "Hour": lambda t: lambda: t.hour,
    "Minute": lambda t: lambda: t.minute,
    "Second": lambda t: lambda: t.second,
    "Nanosecond": lambda t: lambda: t.microsecond * 1000,
    "Weekday": lambda t: lambda: Named("time.Weekday", t.isoweekday() % 7),
    "YearDay": lambda t: lambda: t.timetuple().tm_yday,
    "Unix": lambda t: lambda: _since_epoch(t, timedelta(seconds=1)),
    "UnixMilli": lambda t: lambda: _since_epoch(t, timedelta(milliseconds=1)),
    "UnixMicro": lambda t: lambda: _since_epoch(t, timedelta(microseconds=1)),
    "UnixNano": lambda t: lambda: _since_epoch(t, timedelta(microseconds=1)) * 1000,
    # of Go's several results an expression takes the first
    "Date": lambda t: lambda: t.year,
    "Clock": lambda t: lambda: t.hour,
    "ISOWeek": lambda t: lambda: t.isocalendar().year,
    "Zone": lambda t: lambda: zone_name(t),
    "Location": lambda t: lambda: t.tzinfo,
    "IsDST": lambda t: lambda: bool(t.dst()),
    "Compare": lambda t: lambda other: _compare(t, other),
    "Round": lambda t: lambda unit: _round(t, unit),
    "Format": lambda t: lambda layout: format_layout(t, layout),
    "String": lambda t: lambda: show(t),
    "In": _in,
    "UTC": lambda t: lambda: t.astimezone(UTC),
    "Add": lambda t: lambda span: t + span,
    "AddDate": lambda t: lambda years, months, days: _add_date(t, years, months, days),
    "Sub": lambda t: lambda other: t - other,
    "Before": lambda t: lambda other: t < other,
    "After": lambda t: lambda other: t > other,
    "Equal": lambda t: lambda other: t == other,
    "IsZero": lambda t: lambda: t.year == 1,
    "Truncate": lambda t: lambda unit: _truncate(t, unit),
}
_DURATION: dict[str, Callable[[timedelta], Callable[..., Value]]] = {
    "Hours": lambda d: lambda: d.total_seconds() / 3600,
    "Minutes": lambda d: lambda: d.total_seconds() / 60,
    "Seconds": lambda d: lambda: d.total_seconds(),
    "Microseconds": lambda d: lambda: d // timedelta(microseconds=1),
    "Round": lambda d: lambda unit: _round(d, unit),
    "Truncate": lambda d: lambda unit: _truncate(d, unit),
    "Milliseconds": lambda d: lambda: nanoseconds(d) // 10**6,
    "Nanoseconds": lambda d: lambda: nanoseconds(d),
    "String": lambda d: lambda: show(d),
    "Abs": lambda d: lambda: abs(d),
}


def _add_date(moment: datetime, years: int, months: int, days: int) -> datetime:
    month = moment.month - 1 + months
    first = moment.replace(year=moment.year + years + month // 12, month=month % 12 + 1, day=1)
    return first + timedelta(days=moment.day - 1 + days)


def member(value: Value, name: Value) -> Callable[..., Value] | None:
    """Return a method of a time, a duration, a month, a day of the week, a location or a version; or None."""
    if isinstance(value, datetime):
        of_time = _TIME.get(name)
        return of_time(value) if of_time else None
    if isinstance(value, timedelta):
        of_span = _DURATION.get(name)
        return of_span(value) if of_span else None
    if isinstance(value, SemverVersion):
        return value.method(name)
    if isinstance(value, Named) and name == "String":
        return lambda: str(value)
    if isinstance(value, tzinfo) and name == "String":
        return lambda: show(value)
    return None
