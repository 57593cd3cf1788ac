"""When each step ran, waited, failed and was tried again, as rows of bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tiphys.argo.nodes import FAILED
from tiphys.pages.html import duration, phase_class, safe, state, when
from tiphys.records.cost import RunCost
from tiphys.records.record import RunRecord, StepRecord

__all__ = ["Bar", "bars", "gantt", "last"]

MOST = 300
_LEGEND = (
    ("ok", "ran"),
    ("wait", "waited"),
    ("bad", "attempt that failed"),
    ("run", "still runs"),
    ("hit", "taken from the cache"),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a step's time: its CSS class, when, and what it was."""

    css: str
    start: float
    end: float
    told: str


def gantt(run: RunRecord, costs: RunCost) -> tuple[str, int]:
    """The rows as HTML, and how many steps are left out: of too many, those that succeeded fastest."""
    steps = [step for step in run.steps if step.started and step.phase not in ("Skipped", "Omitted")]
    if not steps:
        return "", 0
    kept = sorted(steps, key=lambda step: (step.phase == "Succeeded", -step.seconds, step.name))[:MOST]
    start = min(step.started for step in kept)
    end = max([run.finished, *(last(step) for step in kept), start + 1])
    waits = {step.node: step.cost.waited for step in costs.steps}
    rows = [
        _row(step, waits.get(step.node, 0.0), start, end)
        for step in sorted(kept, key=lambda step: (step.started, step.name))
    ]
    css = {bar.css for step in kept for bar in bars(step, waits.get(step.node, 0.0), end)}
    legend = "".join(f'<li><i class="{name}"></i>{text}</li>' for name, text in _LEGEND if name in css)
    axis = "".join(
        f'<span style="left:{part * 100:g}%">{duration((end - start) * part)}</span>'
        for part in (0, 1 / 3, 2 / 3, 1)
    )
    head = f'<div><div class="axis">{axis}</div></div>'
    return (
        f'<div class="gantt">{head}{"".join(rows)}</div><ul class="legend">{legend}</ul>',
        len(steps) - len(kept),
    )


def last(step: StepRecord) -> float:
    """The last time at which something is known of a step."""
    ends = [attempt.finished or attempt.started for attempt in step.attempts]
    return max([step.finished, step.started, *ends, *(point.at for point in step.points[-1:])])


def _row(step: StepRecord, waited: float, start: float, end: float) -> str:
    track = "".join(_drawn(bar, start, end) for bar in bars(step, waited, end))
    took = duration(step.seconds) if step.seconds or step.finished else ""
    told = f"{safe(step.name)} · {safe(step.phase)} · {when(step.started)} · {took}"
    css = phase_class(step.phase, hit=step.hit)
    name = (
        f'<span class="name" title="{told}"><span class="{css}">{_sign(step)}</span> {safe(step.name)}</span>'
    )
    return f'<div>{name}<div class="track">{track}</div><span class="long">{took}</span></div>'


def _sign(step: StepRecord) -> str:
    return state(step).partition(">")[2][0]


def bars(step: StepRecord, waited: float, end: float) -> Iterator[Bar]:
    """What its time went to. ``waited``: seconds in which it could not run yet; ``end``: of what goes on."""
    if step.hit:
        yield Bar("hit", step.started, step.finished or step.started, "taken from the cache")
        return
    attempts: Sequence[tuple[float, float, str, str]] = [
        (each.started, each.finished, each.phase, f"attempt {each.number}: {each.phase} {each.message}")
        for each in step.attempts
        if each.started
    ] or [(step.started, step.finished, step.phase, step.phase)]
    begun = attempts[0][0]
    if waited and step.phase != "Pending":
        inside = max(waited - (begun - step.started), 0.0)  # of its first pod, as good as we know
        yield Bar("wait", step.started, begun + inside, f"waited {duration(waited)}")
        begun += inside
    for place, (started, finished, phase, told) in enumerate(attempts):
        css = "wait" if phase == "Pending" else phase_class(phase)
        yield Bar(
            "bad" if phase in FAILED else css,
            max(started, begun) if not place else started,
            finished or end,
            told,
        )


def _drawn(bar: Bar, start: float, end: float) -> str:
    whole = end - start
    left = min(max((bar.start - start) / whole, 0.0), 0.998)
    wide = min(max((bar.end - bar.start) / whole, 0.0), 1 - left)
    return f'<i class="{bar.css}" style="left:{left * 100:.3f}%;width:{wide * 100:.3f}%" title="{safe(bar.told)}"></i>'
