"""Go time layouts (``2006-01-02T15:04:05Z07:00``) and Argo's strftime keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from tiphys.expr.lexer import ExprError
from tiphys.lazy import regex

__all__ = ["STRFTIME_KEYS", "format_layout", "location", "parse_layout", "strftime", "zone_name"]

_PIECES = regex(
    r"002|__2|2006|January|Monday|Jan|Mon|MST|Z07:00|Z0700|-07:00|-0700|-07|[.,]0+|[.,]9+|01|02|03|04|05|06|15|PM|pm|_2|1|2|3|4|5"
)
STRFTIME_KEYS = "BbmAadHIMSYypZzL"
_LAYOUTS = (
    "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02", "15:04:05",
    "Mon, 02 Jan 2006 15:04:05 MST", "Mon, 02 Jan 2006 15:04:05 -0700", "Monday, 02-Jan-06 15:04:05 MST",
    "Mon Jan _2 15:04:05 2006", "Mon Jan _2 15:04:05 MST 2006", "02 Jan 06 15:04 MST",
)  # fmt: skip


def _zone(moment: datetime, colon: bool, z: bool) -> str:
    offset = moment.utcoffset() or timedelta(0)
    if z and not offset:
        return "Z"
    minutes = int(offset.total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    return f"{sign}{hours:02d}{':' if colon else ''}{rest:02d}"


def zone_name(moment: datetime) -> str:
    """Return the abbreviation of a time's zone; an offset by itself has none."""
    name = moment.tzname() or "UTC"
    return "" if name.startswith("UTC") and name != "UTC" else name


def location(name: str) -> tzinfo:
    """The time zone of that name.

    Raises
    ------
    ExprError
        There is none, in the words of Go's time.LoadLocation.
    """
    if name in ("", "UTC"):
        return UTC
    from zoneinfo import ZoneInfo  # few expressions have one

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ExprError(f"unknown time zone {name}") from None


def format_layout(moment: datetime, layout: str) -> str:
    """Return ``moment`` in a Go layout."""

    def piece(match: re.Match[str]) -> str:
        word = match.group()
        hour12 = moment.hour % 12 or 12
        simple = {
            "2006": f"{moment.year:04d}", "06": f"{moment.year % 100:02d}", "January": moment.strftime("%B"),
            "Jan": moment.strftime("%b"), "Monday": moment.strftime("%A"), "Mon": moment.strftime("%a"),
            "01": f"{moment.month:02d}", "1": str(moment.month), "02": f"{moment.day:02d}", "2": str(moment.day),
            "_2": f"{moment.day:2d}", "002": f"{moment:%j}", "__2": f"{int(f'{moment:%j}'):3d}",
            "15": f"{moment.hour:02d}", "03": f"{hour12:02d}", "3": str(hour12),
            "04": f"{moment.minute:02d}", "4": str(moment.minute),
            "05": f"{moment.second:02d}", "5": str(moment.second),
            "PM": "AM" if moment.hour < 12 else "PM", "pm": "am" if moment.hour < 12 else "pm",
            "MST": zone_name(moment) or _zone(moment, False, False),
            "Z07:00": _zone(moment, True, True), "Z0700": _zone(moment, False, True),
            "-07:00": _zone(moment, True, False), "-0700": _zone(moment, False, False),
            "-07": _zone(moment, False, False)[:3],
        }.get(word)  # fmt: skip
        if simple is not None:
            return simple
        digits = f"{moment.microsecond:06d}000"[: len(word) - 1]
        return (
            word[0] + digits if "0" in word else (word[0] + digits.rstrip("0") if digits.strip("0") else "")
        )

    return _PIECES.sub(piece, layout)


def parse_layout(text: str, layout: str = "") -> datetime:
    """Parse ``text`` by a Go layout (without one, the usual ones are tried).

    Raises
    ------
    ExprError
        The text does not fit.
    """
    for candidate in (layout,) if layout else _LAYOUTS:
        moment = _parse(text, candidate)
        if moment is not None:
            return moment
    raise ExprError(f"parsing time {text!r}: cannot parse" + (f" as {layout!r}" if layout else ""))


def _parse(text: str, layout: str) -> datetime | None:
    codes = {
        "2006": "%Y", "06": "%y", "January": "%B", "Jan": "%b", "Monday": "%A", "Mon": "%a", "01": "%m", "1": "%m",
        "02": "%d", "2": "%d", "_2": "%d", "002": "%j", "__2": "%j",
        "15": "%H", "03": "%I", "3": "%I", "04": "%M", "4": "%M", "05": "%S",
        "5": "%S", "PM": "%p", "pm": "%p", "MST": "%Z", "Z07:00": "%z", "Z0700": "%z", "-07:00": "%z", "-0700": "%z",
    }  # fmt: skip
    pattern = _PIECES.sub(lambda m: codes.get(m.group(), ".%f"), layout.replace("%", "%%"))
    trimmed, fraction = text, timedelta()
    if "%f" not in pattern and "%S" in pattern and (found := re.search(r"(?<=:\d\d)[.,](\d+)", text)):
        # Go reads a fraction after the seconds that the layout does not name
        trimmed = text[: found.start()] + text[found.end() :]
        fraction = timedelta(microseconds=int(found[1][:6].ljust(6, "0")))
    try:
        moment = datetime.strptime(trimmed, pattern) + fraction
    except (ValueError, OverflowError, re.error):  # re: of an element that the layout has twice
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def strftime(seconds: float, key: str) -> str:
    """Return one of Argo's ``creationTimestamp.<key>`` values (its strftime package)."""
    moment = datetime.fromtimestamp(seconds, UTC)
    if key == "L":
        return f"{moment.microsecond // 1000:03d}"
    if key == "z":
        return "+0000"
    if key == "Z":
        return "UTC"
    return moment.strftime("%" + key)
