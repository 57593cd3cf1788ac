"""Durations as an author gives them, as the text that Argo reads."""

from __future__ import annotations

from datetime import timedelta

from tiphys.compiler.line import Site
from tiphys.errors import DefinitionError
from tiphys.expr.durations import format_short, parse_human

__all__ = ["go_duration", "whole_seconds"]


def go_duration(age: str | timedelta | None, what: str, site: Site) -> str:
    """``"14d"``, ``"1h30m"`` or a timedelta as a Go duration (``336h``), which has no days.

    None is an empty string (for ever). Raises DefinitionError (TIP115).
    """
    return "" if age is None else format_short(whole_seconds(age, what, site))


def whole_seconds(age: str | timedelta, what: str, site: Site) -> int:
    """The seconds of a duration, at least one. Raises DefinitionError (TIP115)."""
    if isinstance(age, timedelta):
        seconds = age.total_seconds()
    else:
        try:
            seconds = parse_human(str(age))
        except ValueError:
            raise DefinitionError(
                "TIP115",
                f"{what} is {age!r}, which is not a duration",
                where=str(site),
                cause="a duration is a number with a unit, or several of them",
                fix='for example "14d", "36h", "1h30m" or timedelta(days=14)',
            ) from None
    if seconds <= 0 or seconds != int(seconds):
        raise DefinitionError(
            "TIP115",
            f"{what} is {age!r}",
            where=str(site),
            cause="it must be a whole number of seconds greater than 0",
            fix='for example "14d"; leave it out to keep results for ever',
        )
    return int(seconds)
