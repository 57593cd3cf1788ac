"""Line charts as inline SVG: what steps reported by epoch, and what they used over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tiphys.graph.text import escape
from tiphys.pages.html import colour, duration, number, safe
from tiphys.records.record import SAMPLED, Point, RunRecord
from tiphys.records.usage import rates, thinned

__all__ = ["Series", "chart", "constant", "reported", "used"]

MOST_CHARTS, MOST_SERIES = 12, 24
_WIDTH, _HEIGHT = 420.0, 230.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 10.0, 8.0, 34.0
_LARGEST = 1e200  # what is more, or no number, cannot be drawn
_AXES = (*SAMPLED, "epoch", "of")
_FIRST = ("accuracy", "val_accuracy", "loss", "val_loss", "examples_per_second")


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name, and its points from left to right."""

    name: str
    points: Sequence[tuple[float, float]]


def reported(run: RunRecord) -> tuple[list[str], int]:
    """A chart for each key that steps reported, with a line for each of their workers; how many keys are left out."""
    found: dict[str, dict[str, list[Point]]] = {}
    for step in run.steps:
        for point in step.points:
            if point.key not in _AXES and abs(point.value) < _LARGEST:
                name = f"{step.name} · {point.worker}" if point.worker else step.name
                found.setdefault(point.key, {}).setdefault(name, []).append(point)
    keys = sorted(
        found.keys() - constant(run),
        key=lambda key: (_FIRST.index(key) if key in _FIRST else len(_FIRST), key),
    )
    charts = []
    for key in keys[:MOST_CHARTS]:
        by_epoch = any(point.epoch for points in found[key].values() for point in points)
        lines = [
            Series(name, _by_epoch(points) if by_epoch else _by_time(points, run.started))
            for name, points in sorted(found[key].items())
        ]
        told: Callable[[float], str] = _epoch if by_epoch else duration
        charts.append(chart(key, lines, x=told, y=number, across="epoch" if by_epoch else "time"))
    return charts, len(keys) - len(charts)


def constant(run: RunRecord) -> dict[str, float]:
    """The keys whose value never changed, with it: no line would say more."""
    found: dict[str, set[float]] = {}
    for step in run.steps:
        for point in step.points:
            if point.key not in _AXES:
                found.setdefault(point.key, set()).add(point.value)
    return {key: min(values) for key, values in sorted(found.items()) if len(values) == 1}


def used(run: RunRecord) -> list[str]:
    """Memory and cores over time."""
    found: dict[str, dict[str, list[Point]]] = {"memory": {}, "cpu": {}}
    for step in run.steps:
        for point in step.points:
            if point.key in found and abs(point.value) < _LARGEST:
                name = f"{step.name} · {point.worker}" if point.worker else step.name
                found[point.key].setdefault(name, []).append(point)
    memory = [Series(name, _by_time(points, run.started)) for name, points in sorted(found["memory"].items())]
    cores = [
        Series(name, thinned(list(rates(points, run.started))))
        for name, points in sorted(found["cpu"].items())
    ]
    most = max((value for line in memory for _, value in line.points), default=0.0)
    unit, name = (2.0**30, "GiB") if most > 2**32 else (2.0**20, "MiB")  # so that ticks are round
    memory = [Series(line.name, [(at, value / unit) for at, value in line.points]) for line in memory]
    charts = [
        chart(f"memory, {name}", memory, x=duration, y=number, across="time"),
        chart("cores in use", cores, x=duration, y=number, across="time"),
    ]
    return [each for each in charts if each]


def chart(
    title: str,
    lines: Sequence[Series],
    *,
    x: Callable[[float], str],
    y: Callable[[float], str],
    across: str,
) -> str:
    """A chart with its legend. ``x`` and ``y`` tell the values at the axes. Empty without a point."""
    drawable = [(index, line) for index, line in enumerate(lines) if line.points]  # each keeps its colour
    shown = drawable[:MOST_SERIES]
    if not shown:
        return ""
    places = [at for _, line in shown for at, _ in line.points]
    left, right = _range(places)
    low, high = _range(value for _, line in shown for _, value in line.points)
    low = 0.0 if 0 < low < 0.6 * high else low
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    wide, tall = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(at: float, value: float) -> str:
        across, up = (at - left) / (right - left), (value - low) / (high - low)
        return f"{_LEFT + across * wide:.1f},{_TOP + (1 - up) * tall:.1f}"

    body = []
    for tick in ticks:
        height = _TOP + (1 - (tick - low) / (high - low)) * tall
        body.append(f'<path class="grid" d="M{_LEFT:g},{height:.1f}H{_WIDTH - _RIGHT:g}"/>')
        body.append(
            f'<text class="t" x="{_LEFT - 6:g}" y="{height + 4:.1f}" text-anchor="end">{escape(y(tick))}</text>'
        )
    base = _HEIGHT - _BOTTOM
    half = (left + right) / 2
    if all(at == int(at) for at in places):  # there is no epoch and a half
        half = float(math.floor(half))
    for at, anchor in ((left, "start"), (half, "middle"), (right, "end")):
        middle = _LEFT + (at - left) / (right - left) * wide
        if anchor != "middle" or x(at) not in (x(left), x(right)):
            body.append(
                f'<text class="t" x="{middle:.1f}" y="{base + 15:g}" text-anchor="{anchor}">{escape(x(at))}</text>'
            )
    body.append(
        f'<text class="t" x="{_LEFT + wide / 2:g}" y="{base + 30:g}" text-anchor="middle">{escape(across)}</text>'
    )
    for index, line in shown:
        css, dashes = colour(index)
        path = "L".join(place(*point) for point in line.points)
        body.append(f'<g class="{css}"><title>{safe(line.name)}</title>')
        if len(line.points) > 1:
            body.append(f'<path class="line"{dashes} d="M{path}"/>')
        if len(line.points) <= 12:
            for at, value in line.points:
                cx, _, cy = place(at, value).partition(",")
                told = f"{x(at)}: {y(value)}"
                body.append(
                    f'<circle class="dot" cx="{cx}" cy="{cy}" r="2.6"><title>{safe(line.name)} · {escape(told)}</title>'
                    "</circle>"
                )
        body.append("</g>")
    drawn = (
        f'<svg class="chart" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{safe(title)}">'
        f"{''.join(body)}</svg>"
    )
    left_out = len(drawable) - len(shown)
    note = f'<p class="note">{left_out:,} more lines are left out.</p>' if left_out else ""
    return f"<div><h3>{safe(title)}</h3>{drawn}{_legend(shown)}{note}</div>"


def _legend(lines: Sequence[tuple[int, Series]]) -> str:
    items = []
    for index, line in lines:
        css, dashes = colour(index)
        stroke = f'<svg class="{css}" viewBox="0 0 24 10"><path class="line"{dashes} d="M1,5H23"/></svg>'
        items.append(f"<li>{stroke}{safe(line.name, 80)}</li>")
    return f'<ul class="legend">{"".join(items)}</ul>'


def _epoch(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _by_epoch(points: Iterable[Point]) -> list[tuple[float, float]]:
    """What was told of an epoch last."""
    found = {point.epoch: point.value for point in points if point.epoch}
    return thinned([(float(epoch), value) for epoch, value in sorted(found.items())])


def _by_time(points: Iterable[Point], start: float) -> list[tuple[float, float]]:
    return thinned([(max(point.at - start, 0.0), point.value) for point in points])


def _range(values: Iterable[float]) -> tuple[float, float]:
    """The lowest and the highest, never the same."""
    found = list(values)
    low, high = min(found), max(found)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-200):
        spread = abs(low) * 0.1 or 1.0
        return (low - spread if low < 0 else max(low - spread, 0.0)), high + spread
    return low, high


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(place * step, 12) for place in range(first, last + 1)]
