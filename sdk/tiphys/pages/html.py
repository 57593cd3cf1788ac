"""Pieces of a page: text that is escaped, tables, how phases, times and sizes are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from tiphys.graph.text import escape
from tiphys.records.record import StepRecord
from tiphys.terminal import plain

__all__ = [
    "colour",
    "duration",
    "number",
    "phase_class",
    "safe",
    "section",
    "size",
    "state",
    "table",
    "when",
]

_CLASSES = {"Succeeded": "ok", "Failed": "bad", "Error": "bad", "Running": "run", "Pending": "wait"}
_SIGNS = {"ok": "✓", "bad": "✗", "run": "▶", "wait": "…", "hit": "↺", "none": "–"}
_COLOURS = 8


def safe(text: object, longest: int = 300) -> str:
    """Text that anybody wrote, for HTML: no control or direction characters, at most so many characters."""
    return escape(plain(str(text), longest))


def phase_class(phase: str, *, hit: bool = False) -> str:
    """The CSS class that colours a phase."""
    return "hit" if hit else _CLASSES.get(phase, "none")


def state(step: StepRecord) -> str:
    """The phase of a step with a sign, as HTML."""
    css = phase_class(step.phase, hit=step.hit)
    word = "hit" if step.hit else step.phase or "unknown"
    return f'<span class="phase {css}">{_SIGNS[css]} {safe(word)}</span>'


def colour(place: int) -> tuple[str, str]:
    """Of the series at a place: the CSS class of its colour, and its dashes as an attribute."""
    dashes = ("", ' stroke-dasharray="6 3"', ' stroke-dasharray="2 3"')
    return f"c{place % _COLOURS}", dashes[place // _COLOURS % len(dashes)]


def section(title: str, body: str, note: str = "") -> str:
    """A part of the page; nothing where there is nothing to show."""
    if not body:
        return ""
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{body}{below}</section>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """A table of cells that are HTML already; ``numbers`` are the columns that are aligned to the right."""

    def row(tag: str, cells: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if place in numbers else ''}>{cell}</{tag}>"
            for place, cell in enumerate(cells)
        )

    body = "".join(f"<tr>{row('td', cells)}</tr>" for cells in rows)
    if not body:
        return ""
    return f'<div class="scroll"><table><tr>{row("th", header)}</tr>{body}</table></div>'


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 m 05 s``, ``1 h 02 m``."""
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} m"


def when(seconds: float) -> str:
    """A time in UTC, empty for none."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if seconds else ""
    except (ValueError, OverflowError, OSError):
        return ""


def size(count: float) -> str:
    """Bytes for people: ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} TiB"


def number(value: float) -> str:
    """A number in at most five characters or so."""
    if value == 0 or 0.001 <= abs(value) < 100_000:
        return f"{value:.4g}"
    return f"{value:.2g}"
