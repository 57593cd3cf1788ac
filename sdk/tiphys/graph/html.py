"""The plan as one HTML page: the picture, the parameters, and every step with what it waits for."""

from __future__ import annotations

from collections.abc import Iterator

from tiphys.graph.model import Group, PlannedGraph
from tiphys.graph.svg import KINDS, svg
from tiphys.graph.text import escape

__all__ = ["html"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_CSS = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem}
h1{font-size:1.4rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}
figure{margin:1rem 0;overflow:auto}figure svg{max-width:none}
table{border-collapse:collapse}td,th{text-align:left;padding:.25rem .9rem .25rem 0;vertical-align:top}
th{font-weight:600}tr+tr td{border-top:1px solid #8884}code{font-size:.9em;overflow-wrap:anywhere}
"""


def html(plan: PlannedGraph) -> str:
    """The page; it loads nothing from elsewhere and runs no script."""
    title = escape(plan.title)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>{title}</title><style>{_CSS}</style></head><body>",
        f"<h1>{title}</h1>",
        f"<p>{escape(plan.description)}</p>" if plan.description else "",
        f"<figure>{svg(plan)}</figure>",
    ]
    if plan.parameters:
        parts += ["<h2>Parameters</h2><table><tr><th>name</th><th>value</th><th></th></tr>"]
        parts += [
            f"<tr><td><code>{escape(n)}</code></td><td><code>{escape(v)}</code></td><td>{escape(d)}</td></tr>"
            for n, v, d in plan.parameters
        ]
        parts.append("</table>")
    parts.append("<h2>Steps</h2><table><tr><th>step</th><th>what</th><th>waits for</th><th></th></tr>")
    parts += _rows(plan.main, "")
    if plan.exit is not None:
        parts += _rows(plan.exit, "")
    parts.append("</table></body></html>")
    return "\n".join(part for part in parts if part) + "\n"


def _rows(group: Group, prefix: str) -> Iterator[str]:
    titles = {item.key: item.title for item in group.items}
    for item in group.items:
        waits = [
            titles[e.source] + (f" ({e.label})" if e.label else "")
            for e in group.edges
            if e.target == item.key
        ]
        kind = item.subtitle or KINDS.get(item.kind, ("", "", ""))[0]
        details = "<br>".join(escape(line) for line in item.details)
        yield (
            f"<tr><td>{escape(prefix + item.title)}</td><td>{escape(kind)}</td>"
            f"<td>{escape(', '.join(waits))}</td><td>{details}</td></tr>"
        )
        if item.inner is not None:
            yield from _rows(item.inner, f"{prefix}{item.title} / ")
