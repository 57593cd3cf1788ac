"""CronWorkflows: when they run, and the Workflow each run is (robfig/cron's standard five fields)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tiphys.errors import RefusedError
from tiphys.expr.durations import parse_go
from tiphys.expr.gotime import rfc3339

Json = Any

__all__ = ["Schedule", "child_workflow", "next_times", "parse_schedule"]

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
_YEARS = 5


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed schedule: the allowed values of each field, or a fixed period."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool  # either day field is a star: both must hold, otherwise one is enough
    zone: tzinfo
    every: float = 0.0

    def after(self, moment: float) -> float | None:
        """Return the first time after ``moment`` (seconds since the epoch), None if there is none in five years."""
        if self.every:
            return float(int(moment + self.every))
        local = datetime.fromtimestamp(int(moment), self.zone).replace(second=0, tzinfo=None) + timedelta(
            minutes=1
        )
        limit = local.year + _YEARS
        while local.year <= limit:
            if local.month not in self.months:
                local = (local.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
            elif not self._day(local):
                local = local.replace(hour=0, minute=0) + timedelta(days=1)
            elif local.hour not in self.hours:
                local = local.replace(minute=0) + timedelta(hours=1)
            elif local.minute not in self.minutes:
                local += timedelta(minutes=1)
            else:
                found = local.replace(tzinfo=self.zone)
                # an hour that the clock skips does not exist
                if found.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) == local:
                    return found.timestamp()
                local += timedelta(minutes=1)
        return None

    def _day(self, local: datetime) -> bool:
        of_month, of_week = local.day in self.days, (local.weekday() + 1) % 7 in self.weekdays
        return (of_month and of_week) if self.any_day else (of_month or of_week)


def _refused(text: str, why: str) -> RefusedError:
    return RefusedError(
        "TIP265",
        f"the schedule {text!r} cannot be read: {why}",
        where="spec.schedules",
        fix="write five fields (minute hour day month weekday), or @hourly, @daily, @every 1h30m",
    )


def parse_schedule(text: str, zone: str = "") -> Schedule:
    """Read a schedule; ``CRON_TZ=Zone`` in front of it wins over ``zone``.

    Raises
    ------
    RefusedError
        TIP265: not a schedule, or no such time zone.
    """
    body = text.strip()
    for prefix in ("TZ=", "CRON_TZ="):
        if body.startswith(prefix):
            zone, _, body = body[len(prefix) :].partition(" ")
            body = body.strip()
    try:
        place: tzinfo = ZoneInfo(zone) if zone and zone != "UTC" else UTC
    except (ZoneInfoNotFoundError, ValueError):
        raise _refused(text, f"unknown time zone {zone}") from None
    if body.startswith("@every "):
        try:
            seconds = max(float(int(parse_go(body[len("@every ") :]))), 1.0)
        except ValueError as error:
            raise _refused(text, str(error)) from None
        empty: frozenset[int] = frozenset()
        return Schedule(empty, empty, empty, empty, empty, True, place, seconds)
    fields = _DESCRIPTORS.get(body, body).split()
    if len(fields) != len(_FIELDS):
        raise _refused(text, f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    values = [_field(text, field, *rule) for field, rule in zip(fields, _FIELDS, strict=True)]
    stars = [field.split("/")[0] in ("*", "?") for field in (fields[2], fields[4])]
    return Schedule(values[0], values[1], values[2], values[3], values[4], any(stars), place)


def _field(text: str, field: str, name: str, low: int, high: int, names: Mapping[str, int]) -> frozenset[int]:
    def number(word: str) -> int:
        if word.lower() in names:
            return names[word.lower()]
        if not word.isdigit():
            raise _refused(text, f"failed to parse int from {word} in the {name}")
        value = int(word)
        if not low <= value <= high:
            raise _refused(text, f"{value} is outside {low}-{high} in the {name}")
        return value

    found: set[int] = set()
    for part in field.split(","):
        span, slash, step_text = part.partition("/")
        step = int(step_text) if step_text.isdigit() and int(step_text) > 0 else 0
        if slash and not step:
            raise _refused(text, f"bad step in {part}")
        first, dash, last = span.partition("-")
        if span in ("*", "?"):
            start, end = low, high
        else:
            start = number(first)
            end = number(last) if dash else high if slash else start
        if start > end:
            raise _refused(text, f"beginning of range ({start}) beyond end of range ({end}): {part}")
        found.update(range(start, end + 1, step or 1))
    return frozenset(found)


def _schedules(spec: Mapping[str, Json]) -> list[Schedule]:
    texts = spec.get("schedules") or ([spec["schedule"]] if spec.get("schedule") else [])
    if not texts:
        raise RefusedError(
            "TIP265",
            "the CronWorkflow has no schedule",
            where="spec.schedules",
            fix='give one: schedules: ["0 2 * * *"]',
        )
    return [parse_schedule(str(text), str(spec.get("timezone") or "")) for text in texts]


def next_times(cron: Mapping[str, Json], after: float) -> Iterator[float]:
    """Return the times a CronWorkflow is due after ``after``, all its schedules together, without end.

    Raises
    ------
    RefusedError
        TIP265: a schedule cannot be read.
    """
    schedules = _schedules(cron.get("spec") or {})
    moment = after
    while True:
        due = [time for schedule in schedules if (time := schedule.after(moment)) is not None]
        if not due:
            return
        moment = min(due)
        yield moment


def child_workflow(cron: Mapping[str, Json], at: float) -> dict[str, Json]:
    """Return the Workflow of the run due at ``at``, named and labelled as Argo does."""
    metadata, spec = cron.get("metadata") or {}, cron.get("spec") or {}
    name = str(metadata.get("name") or str(metadata.get("generateName") or "cron-").rstrip("-"))
    given = spec.get("workflowMetadata") or {}
    labels = {**(given.get("labels") or {}), "workflows.argoproj.io/cron-workflow": name}
    annotations = {
        **(given.get("annotations") or {}),
        "workflows.argoproj.io/scheduled-time": rfc3339(at),
    }
    made: dict[str, Json] = {"name": f"{name}-{int(at)}", "labels": labels, "annotations": annotations}
    if metadata.get("namespace"):
        made["namespace"] = metadata["namespace"]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": made,
        "spec": deepcopy(spec.get("workflowSpec") or {}),
    }
