"""Schedules of a CronWorkflow, as robfig/cron reads them."""

from __future__ import annotations

from tiphys.expr.durations import is_go

__all__ = ["fault"]

_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_MONTHS = dict(
    zip(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        range(1, 13),
        strict=True,
    )
)
_DAYS = dict(zip(["sun", "mon", "tue", "wed", "thu", "fri", "sat"], range(7), strict=True))
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)


def fault(schedule: str) -> str:
    """Say what is wrong with a schedule; empty when it is legal."""
    text = schedule
    if text.startswith(("TZ=", "CRON_TZ=")):
        _, _, text = text.partition(" ")
        text = text.strip()
    if not text:
        return "it is empty"
    if text.startswith("@"):
        if text in _DESCRIPTORS:
            return ""
        if text.startswith("@every "):
            return "" if is_go(text[7:]) else f"{text[7:]!r} is not a duration"
        return f"unrecognized descriptor: {text}"
    words = text.split()
    if len(words) != 5:
        return f"expected exactly 5 fields, found {len(words)}"
    for word, (name, low, high, names) in zip(words, _FIELDS, strict=True):
        for part in word.split(","):
            reason = _part(part, low, high, names)
            if reason:
                return f"{name}: {reason}"
    return ""


def _part(part: str, low: int, high: int, names: dict[str, int]) -> str:
    if not part:
        return ""  # robfig skips empty parts
    span, slash, step = part.partition("/")
    start, dash, end = span.partition("-")
    if "/" in step or "-" in end:
        return f"too many slashes or hyphens: {part}"
    if slash and not step.isdigit():
        return f"failed to parse the step of {part}"
    if start in ("*", "?"):
        return ""
    first = _number(start, names)
    last = _number(end, names) if dash else first
    if first is None or last is None:
        return f"failed to parse number: {part}"
    if slash and not dash:
        last = high
    if first < low:
        return f"beginning of range ({first}) below minimum ({low}): {part}"
    if last > high:
        return f"end of range ({last}) above maximum ({high}): {part}"
    if first > last:
        return f"beginning of range ({first}) beyond end of range ({last}): {part}"
    if slash and int(step) == 0:
        return f"step of range should be a positive number: {part}"
    return ""


def _number(text: str, names: dict[str, int]) -> int | None:
    if text.isdigit():
        return int(text)
    return names.get(text.lower())
