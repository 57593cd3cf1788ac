"""The graph of what ran, each step in the colour of its phase."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.argo.nodes import is_step
from tiphys.graph.layout import layered
from tiphys.graph.text import escape, shorten, width_of
from tiphys.pages.html import duration, phase_class, safe
from tiphys.records.record import RunRecord, StepRecord
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.argo.types import Node, Workflow

__all__ = ["edge", "graph"]

MOST = 150
_TALL, _MARGIN = 46.0, 8.0
_NARROW, _WIDE = 96.0, 230.0


def graph(workflow: Workflow, run: RunRecord) -> tuple[str, int, float]:
    """The drawing as SVG, how many steps are left out (of too many, the latest), and how wide it is."""
    steps = sorted(run.steps, key=lambda step: (step.started, step.name))
    kept = {step.node: step for step in steps[:MOST]}
    if not kept:
        return "", 0, 0.0
    nodes = (workflow.get("status") or {}).get("nodes") or {}
    edges = [(source, target) for source in kept for target in _next(source, nodes) if target in kept]
    titles = {node: plain(step.name, 200) for node, step in kept.items()}
    sizes = {
        node: (min(max(1.08 * width_of(title, 12.5), width_of(_below(kept[node]), 11)) + 26, _WIDE), _TALL)
        for node, title in titles.items()
    }
    sizes = {node: (max(wide, _NARROW), tall) for node, (wide, tall) in sizes.items()}
    drawing = layered(sizes, edges)
    body = [
        edge([(x + _MARGIN, y + _MARGIN) for x, y in drawing.lines[place]])
        for place in range(len(edges))
        if place in drawing.lines
    ]
    for node, step in kept.items():
        place = drawing.places[node]
        body.append(_box(step, titles[node], place.x + _MARGIN, place.y + _MARGIN, sizes[node][0]))
    width, height = drawing.width + 2 * _MARGIN, drawing.height + 2 * _MARGIN
    svg = (
        f'<svg width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="graph of the steps">{"".join(body)}</svg>'
    )
    return f'<div class="scroll">{svg}</div>', len(steps) - len(kept), width


def _next(start: str, nodes: Mapping[str, Node]) -> Iterator[str]:
    """The steps that follow a step: on each way the first."""
    seen = {start}
    waiting = list(nodes.get(start, {}).get("children") or ())
    while waiting:
        identity = waiting.pop()
        node = nodes.get(identity)
        if node is None or identity in seen:
            continue
        seen.add(identity)
        if is_step(node):
            yield identity
        else:
            waiting.extend(node.get("children") or ())


def _below(step: StepRecord) -> str:
    if step.hit:
        return "from the cache"
    tries = f" · {len(step.attempts)} attempts" if len(step.attempts) > 1 else ""
    took = f" · {duration(step.seconds)}" if step.seconds else ""
    return f"{step.phase}{took}{tries}"


def _box(step: StepRecord, title: str, x: float, y: float, wide: float) -> str:
    css = phase_class(step.phase, hit=step.hit)
    faint = ' stroke-dasharray="4 3"' if css == "none" else ""
    told = f"{step.name}\n{_below(step)}\n{step.message}"
    return (
        f'<g class="{css}"><title>{safe(told, 600)}</title>'
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{_TALL:g}" rx="8"{faint}/>'
        f'<rect class="mark" x="{x:.1f}" y="{y + 9:.1f}" width="4" height="{_TALL - 18:g}"/>'
        f'<text class="b" x="{x + 13:.1f}" y="{y + 20:.1f}">{escape(shorten(title, wide - 20, 12.5))}</text>'
        f'<text class="t" x="{x + 13:.1f}" y="{y + 36:.1f}">{escape(shorten(_below(step), wide - 20, 11))}</text></g>'
    )


def edge(points: Sequence[tuple[float, float]], css: str = "edge") -> str:
    """A line through points, from above to below, and its tip."""
    (x, y), *rest = points
    path = [f"M{x:.1f},{y:.1f}"]
    for to_x, to_y in rest:
        middle = (y + to_y) / 2
        path.append(f"C{x:.1f},{middle:.1f} {to_x:.1f},{middle:.1f} {to_x:.1f},{to_y:.1f}")
        x, y = to_x, to_y
    tip = f"M{x - 4:.1f},{y - 7:.1f}L{x + 4:.1f},{y - 7:.1f}L{x:.1f},{y:.1f}Z"
    return f'<path class="{css}" d="{" ".join(path)}"/><path class="tip" d="{tip}"/>'
