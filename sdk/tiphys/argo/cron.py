"""CronWorkflows: what a schedule is, when it comes, and the Workflow each time makes.

The grammar is robfig/cron v3's standard one, as Argo uses it: Argo's validation reads each schedule by itself, its
controller reads it with ``spec.timezone`` in front, so a zone in both is a schedule that never comes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, NamedTuple

from tiphys.argo.copies import plain_copy
from tiphys.argo.time import rfc3339
from tiphys.errors import RefusedError
from tiphys.expr.durations import parse_nanoseconds
from tiphys.expr.lexer import ExprError
from tiphys.lazy import regex

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.argo.types import CronWorkflow, Workflow

__all__ = ["after", "child_workflow", "never", "next_times", "problem", "zone_problem", "zones"]


_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11,
    "dec": 12,
}  # fmt: skip
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}), ("hour", 0, 23, {}), ("day of month", 1, 31, {}), ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)  # fmt: skip
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NUMBER = regex(r"[+-]?[0-9]+")
_BLANK = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # what Go takes for one
_WORD = regex(f"[^{_BLANK}]+")
_YEARS = 5
_EVERY = "@every "
_ZONED = regex(r"(?:CRON_)?TZ=")


class _BadError(ValueError):
    """The text is no schedule."""


class _Schedule(NamedTuple):
    """A schedule that was read: the allowed values of each field, or a period in seconds."""

    zone: tzinfo = UTC
    every: int = 0
    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    both: bool = False  # one of the day fields is a star: both must hold, otherwise one is enough

    def day(self, local: datetime) -> bool:
        of_month, of_week = local.day in self.days, (local.weekday() + 1) % 7 in self.weekdays
        return (of_month and of_week) if self.both else (of_month or of_week)

    @property
    def never(self) -> bool:
        """No time of the calendar is one of these."""
        if self.every:
            return False
        if not (self.minutes and self.hours and self.months):
            return True
        dates = any(day <= _LONGEST_MONTH[month - 1] for month in self.months for day in self.days)
        return not (dates and self.weekdays if self.both else dates or self.weekdays)

    def after(self, moment: float) -> int | None:
        """The first time after ``moment``, in robfig's order of steps: it decides what a changed clock does."""
        if self.every:
            return math.floor(moment) + self.every
        if self.never:
            return None
        step = _Step(self, math.floor(moment) + 1)
        last = step.local.year + _YEARS
        while step.local.year <= last:
            if step.month() and step.day() and step.hour() and step.minute() and step.second():
                return step.time
        return None


class _Step:
    """The search for a time: each step goes on until its field fits, and is False when the next larger unit began."""

    def __init__(self, schedule: _Schedule, time: int) -> None:
        self.schedule = schedule
        self.time = time
        self.whole = False  # the smaller units begin at zero: something was stepped over

    @property
    def local(self) -> datetime:
        return datetime.fromtimestamp(self.time, self.schedule.zone).replace(tzinfo=None)

    def month(self) -> bool:
        while self.local.month not in self.schedule.months:
            self.begin(lambda local: local.replace(day=1, hour=0, minute=0, second=0))
            first = (self.local.replace(day=1) + timedelta(days=32)).replace(day=1)
            self.set(first + timedelta(days=self.local.day - 1))
            if self.local.month == 1:
                return False
        return True

    def day(self) -> bool:
        while not self.schedule.day(self.local):
            self.begin(lambda local: local.replace(hour=0, minute=0, second=0))
            self.set(self.local + timedelta(days=1))
            if hour := self.local.hour:  # midnight is not there on a day when the clock changes
                self.time += (24 - hour if hour > 12 else -hour) * 3600
            if self.local.day == 1:
                return False
        return True

    def hour(self) -> bool:
        while self.local.hour not in self.schedule.hours:
            self.begin(lambda local: local.replace(minute=0, second=0))
            self.time += 3600
            if self.local.hour == 0:
                return False
        return True

    def minute(self) -> bool:
        while self.local.minute not in self.schedule.minutes:
            if not self.whole:
                self.time -= self.time % 60
                self.whole = True
            self.time += 60
            if self.local.minute == 0:
                return False
        return True

    def second(self) -> bool:
        if second := self.local.second:
            self.time += 60 - second
            self.whole = True
            return False  # a new minute
        return True

    def begin(self, of: Callable[[datetime], datetime]) -> None:
        if not self.whole:
            self.set(of(self.local))
            self.whole = True

    def set(self, local: datetime) -> None:
        """Take the moment that Go's time.Date takes, for a local time that is there twice or not at all, too."""
        time = int(local.replace(tzinfo=UTC).timestamp())
        offset = self.offset(time)
        self.time = time - (self.offset(time - offset) if offset else 0)

    def offset(self, time: int) -> int:
        offset = datetime.fromtimestamp(time, self.schedule.zone).utcoffset()
        return int(offset.total_seconds()) if offset else 0


def problem(schedule: str, timezone: str = "") -> str:
    """Say what is wrong with a schedule; empty when it is one.

    Without ``timezone`` this is what Argo's validation says, with it (``spec.timezone``) what its controller says.
    """
    try:
        _read(schedule, timezone)
    except _BadError as error:
        return str(error)
    return ""


def never(schedule: str) -> bool:
    """Whether a schedule is one that never comes: ``0 0 30 2 *``."""
    return not problem(schedule) and _read(schedule, "").never


def after(schedule: str, timezone: str, moment: float) -> float | None:
    """The first time after ``moment`` (seconds since the epoch) in a zone; None if there is none in five years.

    Raises
    ------
    RefusedError
        TIP265: it is no schedule, or the zone does not exist.
    """
    try:
        found = _read(schedule, timezone).after(moment)
    except _BadError as error:
        raise RefusedError(
            "TIP265",
            f"the schedule {schedule!r} cannot be read: {error}",
            where="spec.schedules",
            fix="write five fields (minute hour day month weekday), or @hourly, @daily, @every 1h30m",
        ) from None
    return None if found is None else float(found)


def next_times(cron: CronWorkflow, moment: float) -> Iterator[float]:
    """The times a CronWorkflow is due after ``moment``, all its schedules together, without end.

    Raises
    ------
    RefusedError
        TIP265: a schedule cannot be read, or there is none.
    """
    spec = cron.get("spec") or {}
    schedules = [str(text) for text in spec.get("schedules") or []]
    if not schedules:
        raise RefusedError(
            "TIP265",
            "the CronWorkflow has no schedule",
            where="spec.schedules",
            fix='give one: schedules: ["0 2 * * *"]',
        )
    zone = str(spec.get("timezone") or "")
    while due := [time for text in schedules if (time := after(text, zone, moment)) is not None]:
        moment = min(due)
        yield moment


def child_workflow(cron: CronWorkflow, at: float) -> Workflow:
    """Return the Workflow of the run due at ``at``, named and labelled as Argo does."""
    metadata, spec = cron.get("metadata") or {}, cron.get("spec") or {}
    name = str(metadata.get("name") or str(metadata.get("generateName") or "cron-").rstrip("-"))
    given = spec.get("workflowMetadata") or {}
    labels = {**(given.get("labels") or {}), "workflows.argoproj.io/cron-workflow": name}
    annotations = {
        **(given.get("annotations") or {}),
        "workflows.argoproj.io/scheduled-time": rfc3339(at),
    }
    made: ObjectMeta = {"name": f"{name}-{int(at)}", "labels": labels, "annotations": annotations}
    if metadata.get("namespace"):
        made["namespace"] = metadata["namespace"]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": made,
        "spec": plain_copy(spec.get("workflowSpec") or {}),
    }


# -- time zones ------------------------------------------------------------------------------------------------------


@functools.cache
def zones() -> tuple[str, ...]:
    """The names of all time zones; none where this machine has no data base of them."""
    import zoneinfo  # slow to import, and rarely needed

    return tuple(sorted(zoneinfo.available_timezones()))


def zone_problem(name: str) -> str:
    """Say why a text is no time zone (``time.LoadLocation``); empty when it is one, or nobody can know here."""
    try:
        _zone(name)
    except _BadError as error:
        return str(error) if zones() else ""
    return ""


def _zone(name: str) -> tzinfo:
    from tiphys.expr.gotime import location

    try:
        return location("" if name == "Local" else name)  # the controller's own zone is UTC
    except ExprError as error:
        raise _BadError(str(error)) from None


# -- the grammar -----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _read(schedule: str, timezone: str) -> _Schedule:
    text = f"CRON_TZ={timezone} {schedule}" if timezone else schedule
    if not text:
        raise _BadError("it is empty")
    zone: tzinfo = UTC
    if prefix := _ZONED.match(text):
        name, blank, text = text[prefix.end() :].partition(" ")
        if not blank:
            raise _BadError("nothing follows the time zone")  # Go panics
        text = text.strip(" \t\n\v\f\r\x85\xa0")
        zone = _zone(name)
    if text.startswith("@"):
        if text.startswith(_EVERY):
            return _Schedule(every=_period(text[len(_EVERY) :]))
        if text not in _DESCRIPTORS:
            raise _BadError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    words = _WORD.findall(text)
    if len(words) != len(_FIELDS):
        raise _BadError(f"expected exactly 5 fields, found {len(words)}")
    read = [_field(word, *rule) for word, rule in zip(words, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = (found for found, _ in read)
    return _Schedule(zone, 0, minutes, hours, days, months, weekdays, both=read[2][1] or read[4][1])


def _period(text: str) -> int:
    try:
        return max(parse_nanoseconds(text) // 10**9, 1)
    except ValueError as error:
        raise _BadError(str(error)) from None


def _field(
    word: str, name: str, low: int, high: int, names: Mapping[str, int]
) -> tuple[frozenset[int], bool]:
    """The values of a field, and whether one of its parts is a whole star."""
    found: set[int] = set()
    star = False
    for part in filter(None, word.split(",")):
        try:
            values, whole = _part(part, low, high, names)
        except _BadError as error:
            raise _BadError(f"{name}: {error}") from None
        found.update(values)
        star = star or whole
    return frozenset(found), star


def _part(part: str, low: int, high: int, names: Mapping[str, int]) -> tuple[range, bool]:
    """``*``, ``5``, ``1-5``, each with ``/step``; what follows the hyphen of a star is not even read."""
    span, *steps = part.split("/")
    first, *ends = span.split("-")
    star = first in ("*", "?")
    if star:
        start, end = low, high
    else:
        start = end = _number(first, names)
        if len(ends) > 1:
            raise _BadError(f"too many hyphens: {part}")
        if ends:
            end = _number(ends[0], names)
    if len(steps) > 1:
        raise _BadError(f"too many slashes: {part}")
    step = _number(steps[0], {}) if steps else 1
    if steps and not ends:
        end = high
    if start < low:
        raise _BadError(f"beginning of range ({start}) below minimum ({low}): {part}")
    if end > high:
        raise _BadError(f"end of range ({end}) above maximum ({high}): {part}")
    if start > end:
        raise _BadError(f"beginning of range ({start}) beyond end of range ({end}): {part}")
    if step == 0:
        raise _BadError(f"step of range should be a positive number: {part}")
    return range(start, end + 1, step), star and step == 1


def _number(text: str, names: Mapping[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    number = int(text) if _NUMBER.fullmatch(text) and len(text.lstrip("+-0")) < 20 else None
    if number is None or abs(number) >= 2**63:
        raise _BadError(f"failed to parse int from {text}")
    if number < 0:
        raise _BadError(f"negative number ({number}) not allowed: {text}")
    return number
