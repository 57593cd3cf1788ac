"""Durations: Go's (``1h30m``, ``250ms``), the looser ones that Argo reads around them, and what people write.

Source: Go's time.ParseDuration and Duration.String; argo-workflows v4.1.2, ParseStringToDuration.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from tiphys.expr.gotext import atoi
from tiphys.lazy import regex

__all__ = [
    "format_go",
    "format_short",
    "in_hours",
    "is_go",
    "is_loose",
    "parse_go",
    "parse_human",
    "parse_loose",
    "parse_named",
    "round_to_text",
]

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_LARGEST = 2**63  # nanoseconds that Go can count: 292 years
_PART = regex(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([^0-9.]*)")
_HUMAN_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_HUMAN_PART = regex(r"(\d+(?:\.\d+)?)\s*(weeks?|w|days?|d|h|m|s)(?![a-z])\s*", re.ASCII)


def parse_go(text: str) -> float:
    """Return the seconds of a Go duration.

    Raises
    ------
    ValueError
        With Go's own text: ``time: invalid duration "14d"``.
    """
    return parse_nanoseconds(text) / 1e9


def parse_nanoseconds(text: str) -> int:
    """Return the nanoseconds of a Go duration (see :func:`parse_go`)."""
    body = text
    sign = 1
    if body[:1] in ("-", "+"):
        sign = -1 if body[0] == "-" else 1
        body = body[1:]
    if body == "0":
        return 0
    if not body:
        raise ValueError(f'time: invalid duration "{text}"')
    position = 0
    total = 0
    while position < len(body):
        match = _PART.match(body, position)
        if match is None:
            raise ValueError(f'time: invalid duration "{text}"')
        number, unit = match.groups()
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        whole, _, fraction = number.partition(".")
        total += int(whole or "0") * _UNITS[unit]
        if fraction:
            total += int(fraction) * _UNITS[unit] // 10 ** len(fraction)
        position = match.end()
    if total >= _LARGEST + (sign < 0):
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * total


def parse_loose(text: str) -> float:
    """Return seconds: a bare number counts seconds, otherwise a Go duration.

    Argo's ``ParseStringToDuration``, used for backoff, suspend and timeouts.
    """
    if (whole := atoi(text)) is not None:
        # Go's int64 goes round, so that it never is more than 292 years
        return ((whole * 10**9 + _LARGEST) % (2 * _LARGEST) - _LARGEST) / 1e9
    return parse_go(text)


def parse_named(text: str) -> float:
    """Return what :func:`parse_loose` does; its error names the text, as Argo's does."""
    try:
        return parse_loose(text)
    except ValueError as error:
        raise ValueError(f"unable to parse {text} as a duration: {error}") from None


def is_go(text: str) -> bool:
    """Whether Go's time.ParseDuration reads the text: no days, and no number without a unit but 0."""
    return _reads(parse_go, text)


def is_loose(text: str) -> bool:
    """Whether :func:`parse_loose` reads the text."""
    return _reads(parse_loose, text)


def _reads(parse: Callable[[str], float], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def parse_human(text: str) -> float:
    """Return the seconds of what a person writes: ``14d``, ``2 weeks``, ``1d 12h``, ``90m``.

    Raises
    ------
    ValueError
        Not that.
    """
    position, total = 0, 0.0
    body = text.strip()
    while position < len(body) or not body:
        part = _HUMAN_PART.match(body, position)
        if part is None:
            raise ValueError(f"{text!r} is not a duration")
        total += float(part[1]) * _HUMAN_UNITS[part[2][0]]
        position = part.end()
    if total == math.inf:
        raise ValueError(f"{text!r} is not a duration")
    return total


def format_short(seconds: int) -> str:
    """Return whole seconds as the shortest text that Go reads: ``336h``, ``1h30m``, ``0s``."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return "".join(f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if n) or "0s"


def in_hours(text: str) -> str:
    """What :func:`parse_human` reads as Go reads it, ``14d`` as ``336h``; empty for what it does not read."""
    try:
        seconds = parse_human(text)
    except ValueError:
        return ""
    return format_short(int(seconds)) if seconds and seconds == int(seconds) else ""


def format_go(seconds: float) -> str:
    """Return ``time.Duration.String()``: ``1m30s``, ``1.5s``, ``250ms``, ``0s``."""
    nanoseconds = round(seconds * 1e9)
    if nanoseconds == 0:
        return "0s"
    sign = "-" if nanoseconds < 0 else ""
    nanoseconds = abs(nanoseconds)
    if nanoseconds < 10**9:
        for unit, size in (("ms", 10**6), ("µs", 10**3), ("ns", 1)):
            if nanoseconds >= size:
                return sign + _decimal(nanoseconds, size) + unit
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = _decimal(rest, 10**9) + "s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    if minutes:
        return f"{sign}{minutes}m{text}"
    return sign + text


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    if not rest:
        return str(whole)
    return f"{whole}." + str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0")


def round_to_text(seconds: float) -> str:
    """Return a duration in words as Argo's messages have it: ``2 seconds``, ``1 minute 30 seconds``."""
    left = int(seconds)
    parts = []
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {word}{'s' if count != 1 else ''}")
    return " ".join(parts[:2]) or "0 seconds"
