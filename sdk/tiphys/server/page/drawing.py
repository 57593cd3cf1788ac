"""The planned graph as SVG whose boxes say how far they are; the colours are the page's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiphys.graph.layout import Drawing, layered
from tiphys.graph.text import escape, shorten, width_of
from tiphys.pages.graph import edge as drawn_edge
from tiphys.pages.html import safe
from tiphys.server.page.states import ItemState
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.graph import Group, PlannedGraph, PlannedItem

__all__ = ["SIGNS", "LaidOut", "drawing", "laid_out"]

SIGNS = {"ok": "✓", "bad": "✗", "run": "▶", "wait": "…", "hit": "↺", "none": "–", "": "○"}
_MARGIN, _PADDING, _HEADER, _TALL = 6.0, 14.0, 34.0, 52.0
_NARROW, _WIDE = 184.0, 260.0


@dataclass(slots=True)
class _Box:
    item: PlannedItem
    below: str
    wide: float
    tall: float
    inner: _Picture | None = None


@dataclass(slots=True)
class _Picture:
    boxes: dict[str, _Box]
    place: Drawing
    group: Group


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A plan with the places of its boxes, which do not change while it runs."""

    plan: PlannedGraph
    pictures: tuple[_Picture, ...]


def laid_out(plan: PlannedGraph) -> LaidOut:
    """Where each box is."""
    return LaidOut(plan, tuple(_picture(group) for group in (plan.main, plan.exit) if group is not None))


def drawing(placed: LaidOut, states: Mapping[str, ItemState], link: Callable[[ItemState], str]) -> str:
    """``link``: where a box leads; empty for nowhere."""
    pictures = placed.pictures
    width = max([each.place.width for each in pictures] + [_NARROW]) + 2 * _MARGIN
    body: list[str] = []
    at = _MARGIN
    for number, picture in enumerate(pictures):
        if number:
            body.append(
                f'<text class="t" x="{_MARGIN:g}" y="{at + 26:.1f}">at the end, however it ends</text>'
            )
            at += 40
        _draw(picture, (width - picture.place.width) / 2, at, states, link, body)
        at += picture.place.height
    height = at + _MARGIN
    return (
        f'<svg class="plan" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'role="group" aria-label="the planned graph">{"".join(body)}</svg>'
    )


def _picture(group: Group) -> _Picture:
    boxes = {item.key: _box(item) for item in group.items}
    edges = [(each.source, each.target) for each in group.edges]
    return _Picture(boxes, layered({key: (box.wide, box.tall) for key, box in boxes.items()}, edges), group)


def _box(item: PlannedItem) -> _Box:
    marks = [
        f"if {each.text}" if each.kind == "when" else each.kind
        for each in item.badges
        if each.kind in ("when", "loop", "cache", "lock", "retry")
    ]
    below = plain(" · ".join(dict.fromkeys(marks)) or item.subtitle, 200)
    wide = min(max(1.08 * width_of(item.title, 13) + 30, width_of(below, 11) + 24, _NARROW), _WIDE)
    if item.inner is not None and item.inner.items:
        inner = _picture(item.inner)
        wide = max(wide, inner.place.width + 2 * _PADDING)
        return _Box(item, below, wide, inner.place.height + _HEADER + _PADDING, inner)
    return _Box(item, below, wide, _TALL + (14 if below else 0))


def _draw(
    picture: _Picture,
    left: float,
    top: float,
    states: Mapping[str, ItemState],
    link: Callable[[ItemState], str],
    body: list[str],
) -> None:
    for number, edge in enumerate(picture.group.edges):
        if points := picture.place.lines.get(number):
            css = "edge soft" if edge.label else "edge"
            body.append(drawn_edge([(x + left, y + top) for x, y in points], css))
    for key, box in picture.boxes.items():
        place = picture.place.places[key]
        x, y = left + place.x, top + place.y
        body.append(_node(box, states.get(key) or ItemState(), link, x, y))
        if box.inner is not None:
            _draw(box.inner, x + (box.wide - box.inner.place.width) / 2, y + _HEADER, states, link, body)


def _node(box: _Box, state: ItemState, link: Callable[[ItemState], str], x: float, y: float) -> str:
    item = box.item
    told = "\n".join([item.title, *item.details, state.told or "not begun"])
    words = shorten(plain(item.title, 200), box.wide - 34, 13)
    inside = (
        f"<title>{safe(told, 600)}</title>"
        f'<rect class="box{" around" if box.inner else ""}" x="{x:.1f}" y="{y:.1f}" width="{box.wide:.1f}" '
        f'height="{box.tall:.1f}" rx="9"/>'
        f'<text class="sign" x="{x + 16:.1f}" y="{y + 21.5:.1f}" text-anchor="middle">{SIGNS[state.css]}</text>'
        f'<text class="b" x="{x + 29:.1f}" y="{y + 21:.1f}">{escape(words)}</text>'
    )
    if box.inner is None:
        if box.below:
            below = escape(shorten(box.below, box.wide - 22, 11))
            inside += f'<text class="t" x="{x + 12:.1f}" y="{y + 39:.1f}">{below}</text>'
        at = y + (55 if box.below else 40)
        inside += (
            f'<text class="told" x="{x + 12:.1f}" y="{at:.1f}">{escape(state.told or "not begun")}</text>'
        )
    to = link(state)
    if to:
        inside = f'<a href="{escape(to)}">{inside}</a>'
    return f'<g class="item {state.css or "yet"}" data-key="{item.key}">{inside}</g>'
