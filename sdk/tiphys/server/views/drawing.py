"""Small drawings as SVG, each with a title: a line in a cell, bars with a mark. Pages allow no style attributes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tiphys.graph.text import escape, shorten
from tiphys.pages.html import safe

__all__ = ["bars", "meter", "spark"]

_WIDE, _TALL = 120.0, 26.0
_ROW, _BAR, _LABEL, _VALUE = 28.0, 14.0, 150.0, 64.0
_MOST = 60


def spark(points: Sequence[tuple[float, float]], title: str) -> str:
    """A line from left to right in a small box; empty with fewer than two finite points."""
    points = [point for point in points if all(map(math.isfinite, point))]
    if len(points) < 2:
        return ""
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    across, up = right - left or 1.0, high - low or 1.0
    places = " ".join(
        f"{2 + (x - left) / across * (_WIDE - 4):.1f},{2 + (1 - (y - low) / up) * (_TALL - 4):.1f}"
        for x, y in points
    )
    return (
        f'<svg class="spark" viewBox="0 0 {_WIDE:g} {_TALL:g}" width="{_WIDE:g}" height="{_TALL:g}" role="img">'
        f'<title>{safe(title)}</title><polyline points="{places}"/></svg>'
    )


def meter(part: float | None, title: str) -> str:
    """How much of something is used: full at 1, marked beyond."""
    if part is None or not math.isfinite(part):
        return ""
    css = "bad" if part > 1 else "wait" if part > 0.9 else "ok"
    return (
        f'<svg class="meter {css}" viewBox="0 0 {_WIDE:g} 10" width="{_WIDE:g}" height="10" role="img">'
        f'<title>{safe(title)}</title><rect class="rail" width="{_WIDE:g}" height="10" rx="3"/>'
        f'<rect class="fill" width="{_WIDE * min(max(part, 0.0), 1.0):.1f}" height="10" rx="3"/></svg>'
    )


def bars(
    rows: Sequence[tuple[str, float, str, str]], title: str, *, line: float | None = None, most: float = 1.0
) -> str:
    """A bar for each of (name, value, what is told of it, CSS class), and a mark at ``line``; ``most`` is the whole
    width. A table says the same beside it. Of very many the first."""
    rows = [row for row in rows if math.isfinite(row[1])][:_MOST]
    if not rows or most <= 0:
        return ""
    wide, tall = 640.0, _ROW * len(rows) + (18.0 if line is not None else 4.0)
    room = wide - _LABEL - _VALUE
    body = []
    for place, (name, value, told, css) in enumerate(rows):
        top = place * _ROW
        long = min(max(value / most, 0.0), 1.0) * room
        body.append(
            f'<g class="{escape(css)}"><title>{safe(name)}: {safe(told)}</title>'
            f'<text x="{_LABEL - 8:g}" y="{top + 18:g}" text-anchor="end">{safe(shorten(name, _LABEL - 10, 12))}</text>'
            f'<rect class="rail" x="{_LABEL:g}" y="{top + 7:g}" width="{room:g}" height="{_BAR:g}" rx="3"/>'
            f'<rect class="fill" x="{_LABEL:g}" y="{top + 7:g}" width="{long:.1f}" height="{_BAR:g}" rx="3"/>'
            f'<text x="{_LABEL + room + 8:g}" y="{top + 18:g}">{safe(told, 12)}</text></g>'
        )
    if line is not None and 0 <= line <= most:
        at = _LABEL + line / most * room
        body.append(
            f'<path class="bar-line" d="M{at:.1f},2V{_ROW * len(rows) + 2:g}"/>'
            f'<text class="t" x="{at:.1f}" y="{tall - 3:g}" text-anchor="middle">{line:.4g}</text>'
        )
    return (
        f'<svg class="bars-svg" viewBox="0 0 {wide:g} {tall:g}" role="img"><title>{safe(title)}</title>'
        f"{''.join(body)}</svg>"
    )
