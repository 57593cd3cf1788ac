"""The plan as one self-contained SVG: nested boxes, no scripts, no fonts or styles from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from tiphys.graph.layout import Drawing, layered
from tiphys.graph.model import Group, PlannedGraph, PlannedItem
from tiphys.graph.text import escape, shorten, width_of, wrap

__all__ = ["KINDS", "svg"]

KINDS = {
    "step": ("step", "#2563eb", "#eff6ff"),
    "training": ("training", "#7c3aed", "#f5f3ff"),
    "serving": ("serving", "#0f766e", "#f0fdfa"),
    "resource": ("resource", "#475569", "#f8fafc"),
    "cleanup": ("clean-up", "#b45309", "#fffbeb"),
    "suspend": ("wait", "#a16207", "#fefce8"),
    "reference": ("kept elsewhere", "#475569", "#ffffff"),
    "recursion": ("again", "#be123c", "#fff1f2"),
    "graph": ("graph", "#94a3b8", "#ffffff"),
}
"""Kind -> (name in the legend, line colour, fill)."""

_BADGES = {"cache": "#15803d", "lock": "#be123c", "retry": "#6d28d9"}
TITLE, SMALL = 13.0, 11.0
MARGIN, PADDING, HEADER = 24.0, 16.0, 30.0
MIN_WIDTH, MAX_WIDTH = 120.0, 250.0
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


@dataclass(slots=True)
class _Box:
    """An item with its size, and the drawing of what is inside it."""

    item: PlannedItem
    lines: list[str]
    width: float
    height: float
    inner: _Picture | None = None


@dataclass(slots=True)
class _Picture:
    """A group that has been laid out."""

    boxes: dict[str, _Box]
    drawing: Drawing
    group: Group


def svg(plan: PlannedGraph) -> str:
    """The SVG document."""
    pictures = [("", _lay_out(plan.main))]
    if plan.exit is not None:
        pictures.append(("when the workflow has ended, in any way", _lay_out(plan.exit)))
    width = max([p.drawing.width for _, p in pictures] + [320.0]) + 2 * MARGIN
    body: list[str] = []
    y = MARGIN
    body.append(_text(MARGIN, y + 14, plan.title, "title"))
    y += 26
    for line in wrap(plan.description, width - 2 * MARGIN, 12.0, 3):
        body.append(_text(MARGIN, y + 10, line, "small"))
        y += 17
    y += 12
    for heading, picture in pictures:
        if heading:
            y += 26
            body.append(f'<path class="rule" d="M{MARGIN:g},{y - 12:g} H{width - MARGIN:g}"/>')
            body.append(_text(MARGIN, y + 8, heading, "small"))
            y += 24
        left = (width - picture.drawing.width) / 2
        _draw(picture, left, y, body)
        y += picture.drawing.height
    y = _legend(_kinds_in(plan), _badges_in(plan), width, y + 26, body)
    height = y + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(plan.title)}">',
            f"<title>{escape(plan.title)}</title>",
            _style(),
            f'<rect class="page" width="{width:.0f}" height="{height:.0f}" rx="10"/>',
            *body,
            "</svg>",
            "",
        ]
    )


def _style() -> str:
    rules = [
        f"text{{font-family:{_FONT};fill:#0f172a}}",
        f".name{{font-size:{TITLE:g}px;font-weight:600}}.small{{font-size:{SMALL:g}px;fill:#475569}}",
        ".if{fill:#b45309;font-style:italic}.title{font-size:17px;font-weight:700}.badge{font-size:10px;fill:#fff;font-weight:600}",
        ".page{fill:#fff;stroke:#e2e8f0}.edge{fill:none;stroke:#64748b;stroke-width:1.4}",
        ".soft{stroke-dasharray:5 4}.tip{fill:#64748b}.rule{stroke:#cbd5e1;stroke-dasharray:2 4}",
        ".inside{fill:#f8fafc;stroke:#94a3b8;stroke-dasharray:none}.on{font-size:10px;fill:#475569}",
    ]
    return "<style>" + "".join(rules) + "</style>"


def _lay_out(group: Group) -> _Picture:
    boxes = {item.key: _box(item) for item in group.items}
    sizes = {key: (box.width, box.height) for key, box in boxes.items()}
    drawing = layered(sizes, [(e.source, e.target) for e in group.edges])
    return _Picture(boxes, drawing, group)


def _box(item: PlannedItem) -> _Box:
    marks = _marks(item)
    badges = sum(width_of(kind, 10) + 18 for kind in marks)
    lines = _lines(item)
    widths = [width_of(item.title, TITLE), badges, *(width_of(line, SMALL) for line in lines)]
    width = min(MAX_WIDTH, max(MIN_WIDTH, max(widths) + 24))
    if item.inner is not None and item.inner.items:
        inner = _lay_out(item.inner)
        header = HEADER + 15 * len(lines) + (18 if marks else 0)
        return _Box(
            item,
            lines,
            max(inner.drawing.width + 2 * PADDING, width),
            inner.drawing.height + header + PADDING,
            inner,
        )
    height = 30 + 15 * len(lines) + (20 if marks else 0)
    return _Box(item, lines, width, height)


def _lines(item: PlannedItem) -> list[str]:
    """What stands under the title: the kind, and the condition or the list in words."""
    lines = [shorten(item.subtitle, MAX_WIDTH - 24, SMALL)] if item.subtitle else []
    for badge in item.badges:
        if badge.kind == "when":
            lines += wrap(f"if {badge.text}", MAX_WIDTH - 24, SMALL, 2)
        elif badge.kind == "loop":
            lines.append(shorten(badge.text, MAX_WIDTH - 24, SMALL))
    return lines


def _draw(picture: _Picture, left: float, top: float, body: list[str]) -> None:
    for index, edge in enumerate(picture.group.edges):
        points = picture.drawing.lines.get(index)
        if points:
            _edge([(x + left, y + top) for x, y in points], edge.label, body)
    for key, box in picture.boxes.items():
        place = picture.drawing.places[key]
        _draw_box(box, place.x + left, place.y + top, body)


def _draw_box(box: _Box, x: float, y: float, body: list[str]) -> None:
    item = box.item
    _, line, fill = KINDS.get(item.kind, KINDS["step"])
    tooltip = "\n".join([item.title, *([item.subtitle] if item.subtitle else []), *item.details])
    body.append(f"<g><title>{escape(tooltip)}</title>")
    style = 'class="inside"' if box.inner else f'fill="{fill}" stroke="{line}" stroke-width="1.3"'
    body.append(
        f'<rect {style} x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="8"/>'
    )
    if not box.inner:
        body.append(
            f'<rect fill="{line}" x="{x:.1f}" y="{y + 8:.1f}" width="4" height="{box.height - 16:.1f}"/>'
        )
    body.append(_text(x + 12, y + 20, shorten(item.title, box.width - 20, TITLE), "name"))
    at = y + 35
    plain = 1 if item.subtitle else 0
    for index, text in enumerate(box.lines):
        body.append(_text(x + 12, at, text, "small" if index < plain else "small if"))
        at += 15
    _draw_badges(_marks(item), x + 12, at - 9, body)
    body.append("</g>")
    if box.inner:
        used = HEADER + 15 * len(box.lines) + (18 if _marks(item) else 0)
        inner_left = x + (box.width - box.inner.drawing.width) / 2
        _draw(box.inner, inner_left, y + used, body)


def _marks(item: PlannedItem) -> list[str]:
    """Kinds of badges that are drawn; a condition and a loop stand there in words instead."""
    return list(dict.fromkeys(b.kind for b in item.badges if b.kind not in ("when", "loop")))


def _draw_badges(kinds: list[str], x: float, y: float, body: list[str]) -> None:
    for kind in kinds:
        width = width_of(kind, 10) + 14
        body.append(
            f'<rect fill="{_BADGES[kind]}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="15" rx="7.5"/>'
        )
        body.append(
            f'<text class="badge" x="{x + width / 2:.1f}" y="{y + 11:.1f}" text-anchor="middle">'
            f"{escape(kind)}</text>"
        )
        x += width + 4


def _edge(points: list[tuple[float, float]], label: str, body: list[str]) -> None:
    (x, y), *rest = points
    path = [f"M{x:.1f},{y:.1f}"]
    for to_x, to_y in rest:
        if abs(to_x - x) < 0.05:
            path.append(f"L{to_x:.1f},{to_y:.1f}")
        else:
            middle = (y + to_y) / 2
            path.append(f"C{x:.1f},{middle:.1f} {to_x:.1f},{middle:.1f} {to_x:.1f},{to_y:.1f}")
        x, y = to_x, to_y
    css = "edge soft" if label else "edge"
    body.append(f'<path class="{css}" d="{" ".join(path)}"/>')
    body.append(
        f'<path class="tip" d="M{x - 4:.1f},{y - 7:.1f} L{x + 4:.1f},{y - 7:.1f} L{x:.1f},{y:.1f} Z"/>'
    )
    if label:
        body.append(_text(x + 7, y - 12, shorten(label, 160, 10), "on"))


def _text(x: float, y: float, text: str, css: str) -> str:
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _walk(group: Group | None) -> list[PlannedItem]:
    items: list[PlannedItem] = []
    for item in group.items if group else []:
        items += [item, *_walk(item.inner)]
    return items


def _kinds_in(plan: PlannedGraph) -> list[str]:
    found = {item.kind for item in [*_walk(plan.main), *_walk(plan.exit)] if item.inner is None}
    return [kind for kind in KINDS if kind in found]


def _badges_in(plan: PlannedGraph) -> list[str]:
    found = {kind for item in [*_walk(plan.main), *_walk(plan.exit)] for kind in _marks(item)}
    return [kind for kind in _BADGES if kind in found]


_MEANING = {
    "cache": "earlier results are reused",
    "lock": "waits for its turn",
    "retry": "tried again",
}


def _legend(kinds: list[str], badges: list[str], width: float, y: float, body: list[str]) -> float:
    """What colours and marks mean; returns where it ends."""
    x = MARGIN
    entries = [(k, KINDS[k][0], KINDS[k][1]) for k in kinds] + [(b, _MEANING[b], _BADGES[b]) for b in badges]
    for kind, meaning, colour in entries:
        is_badge = kind in _MEANING
        mark = width_of(kind, 10) + 14 if is_badge else 12.0
        needed = mark + 6 + width_of(meaning, SMALL) + 16
        if x + needed > width - MARGIN and x > MARGIN:
            x, y = MARGIN, y + 22
        if is_badge:
            _draw_badges([kind], x, y - 1, body)
        else:
            body.append(f'<rect fill="{colour}" x="{x:.1f}" y="{y + 1:.1f}" width="12" height="12" rx="3"/>')
        body.append(_text(x + mark + 6, y + 11, meaning, "small"))
        x += needed
    return y + 14
