"""When each step waited, ran, failed and was tried again: bars as SVG, each kind in a pattern of its own."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tiphys.pages.gantt import bars, last
from tiphys.pages.html import duration, safe
from tiphys.records.cost import cost

if TYPE_CHECKING:
    from tiphys.pages.gantt import Bar
    from tiphys.records.record import RunRecord, StepRecord

__all__ = ["TimeRow", "rows"]

MOST = 300


@dataclass(frozen=True, slots=True)
class TimeRow:
    """A step with its bars as SVG."""

    step: StepRecord
    svg: str


def rows(run: RunRecord) -> tuple[list[TimeRow], list[str], int]:
    """The rows in order of time, the axis in words, and how many steps are left out."""
    steps = [each for each in run.steps if each.started and each.phase not in ("Skipped", "Omitted")]
    if not steps:
        return [], [], 0
    kept = sorted(steps, key=lambda step: (step.phase == "Succeeded", -step.seconds, step.name))[:MOST]
    start = min(each.started for each in kept)
    end = max([run.finished or time.time(), *(last(each) for each in kept), start + 1])
    waits = {each.node: each.cost.waited for each in cost(replace(run, steps=tuple(kept))).steps}
    found = [
        TimeRow(step, _drawn(bars(step, waits.get(step.node, 0.0), end), start, end))
        for step in sorted(kept, key=lambda step: (step.started, step.name))
    ]
    axis = [duration((end - start) * part / 4) for part in range(5)]
    return found, axis, len(steps) - len(kept)


def _drawn(found: Iterable[Bar], start: float, end: float) -> str:
    parts = []
    for bar in found:
        left = min(max((bar.start - start) / (end - start), 0.0), 0.997)
        wide = min(max((bar.end - bar.start) / (end - start), 0.003), 1 - left)
        place = f'x="{left:.3%}" width="{wide:.3%}" y="2" height="12" rx="2"'
        pattern = f'<rect {place} fill="url(#p-{bar.css})"/>' if bar.css in ("wait", "hit", "bad") else ""
        parts.append(
            f'<g class="{bar.css}"><title>{safe(bar.told)}</title><rect class="bar" {place}/>{pattern}</g>'
        )
    return f'<svg class="bars" width="100%" height="16" aria-hidden="true">{"".join(parts)}</svg>'
