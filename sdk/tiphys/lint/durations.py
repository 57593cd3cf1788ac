"""Go durations, and the looser ones of Argo's suspend, timeout and backoff."""

from __future__ import annotations

import re

__all__ = ["days_to_hours", "is_argo_duration", "is_go_duration"]

_GO = re.compile(r"[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)\Z")
_DAYS = re.compile(r"\s*(\d+)\s*(d|days?|w|weeks?)\s*\Z")


def is_go_duration(text: str) -> bool:
    """Whether Go's time.ParseDuration reads the text (units ns, us, ms, s, m, h; no days)."""
    return _GO.match(text) is not None


def is_argo_duration(text: str) -> bool:
    """A Go duration or a bare number of seconds."""
    return text.isdigit() or is_go_duration(text)


def days_to_hours(text: str) -> str:
    """``14d`` as ``336h``; empty when the text is no number of days or weeks."""
    match = _DAYS.match(text)
    if not match:
        return ""
    return f"{int(match[1]) * (168 if match[2].startswith('w') else 24)}h"
