"""The plan as a Mermaid flowchart, for Markdown that renders it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tiphys.graph.model import Group, PlannedGraph, PlannedItem
from tiphys.graph.svg import KINDS

__all__ = ["mermaid"]


def mermaid(plan: PlannedGraph) -> str:
    """A ``flowchart TD``; labels are quoted and escaped, so any name is safe."""
    lines = ["flowchart TD"]
    lines += _group(plan.main, "    ")
    if plan.exit is not None:
        lines.append(f'    subgraph onexit["{_label("when the workflow has ended")}"]')
        lines += _group(plan.exit, "        ")
        lines.append("    end")
    used = {item.kind for item in _items(plan.main)} | {item.kind for item in _items(plan.exit)}
    for kind, (_, line, fill) in KINDS.items():
        if kind in used and kind != "graph":
            lines.append(f"    classDef {kind} fill:{fill},stroke:{line},color:#0f172a")
    return "\n".join(lines) + "\n"


def _items(group: Group | None) -> Iterator[PlannedItem]:
    for item in group.items if group else []:
        yield item
        yield from _items(item.inner)


def _group(group: Group, indent: str) -> Iterator[str]:
    for item in group.items:
        if item.inner is not None and item.inner.items:
            yield f'{indent}subgraph {item.key}["{_text(item)}"]'
            yield from _group(item.inner, indent + "    ")
            yield f"{indent}end"
        else:
            yield f'{indent}{item.key}["{_text(item)}"]:::{item.kind if item.kind != "graph" else "step"}'
    for edge in group.edges:
        if edge.label:
            yield f'{indent}{edge.source} -. "{_label(edge.label)}" .-> {edge.target}'
        else:
            yield f"{indent}{edge.source} --> {edge.target}"


def _text(item: PlannedItem) -> str:
    parts = [f"<b>{_label(item.title)}</b>"]
    if item.subtitle:
        parts.append(_label(item.subtitle))
    for badge in item.badges:
        if badge.kind == "when":
            parts.append(_label(f"if {badge.text}"))
        elif badge.kind == "loop":
            parts.append(_label(badge.text[:80]))
    marks = dict.fromkeys(b.kind for b in item.badges if b.kind in ("cache", "lock", "retry"))
    if marks:
        parts.append("<i>" + ", ".join(marks) + "</i>")
    return "<br/>".join(parts)


def _label(text: str) -> str:
    """Mermaid's entity codes for everything that could end a label or start markup."""
    flat = " ".join(text.split())
    return re.sub(r"[^\w ,.=/:+-]", lambda m: f"#{ord(m[0])};", flat)
