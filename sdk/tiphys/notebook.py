"""How objects show themselves in a notebook: pieces of HTML with no script and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tiphys.terminal import plain

__all__ = ["MOST_ROWS", "badge", "facts", "fragment", "rows", "text"]

MOST_ROWS = 100
_COLOURS = {
    "Succeeded": "#15803d",
    "Failed": "#c81e3a",
    "Error": "#c81e3a",
    "Running": "#2563eb",
    "Pending": "#b7791f",
    "hit": "#0f766e",
    "error": "#c81e3a",
    "warning": "#b7791f",
    "info": "#2563eb",
}
_CELL = "text-align:left;vertical-align:top;padding:.15em 1em .15em 0;overflow-wrap:anywhere"


def text(value: object, most: int = 300) -> str:
    """What anybody wrote, as HTML."""
    from html import (
        escape,
    )  # with all the names of HTML's characters; few programs show anything in a notebook

    return escape(plain(str(value), most))


def badge(word: str) -> str:
    """A phase or a severity, in its colour."""
    colour = _COLOURS.get(word, "#6b7280")
    return f'<b style="color:#fff;background:{colour};border-radius:9px;padding:0 .6em">{text(word, 40)}</b>'


def rows(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; of too many lines the first, and how many more there are."""
    cells = [*lines]
    if not cells:
        return ""

    def line(tag: str, values: Sequence[str]) -> str:
        return "<tr>" + "".join(f'<{tag} style="{_CELL}">{value}</{tag}>' for value in values) + "</tr>"

    more = f"<div>and {len(cells) - MOST_ROWS:,} more</div>" if len(cells) > MOST_ROWS else ""
    body = "".join(line("td", values) for values in cells[:MOST_ROWS])
    return f"<table>{line('th', [text(name) for name in header])}{body}</table>{more}"


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Names and values in one line; what is empty is left out."""
    told = [f"{text(name)} <b>{text(value)}</b>" for name, value in pairs if str(value)]
    return f"<div>{' · '.join(told)}</div>" if told else ""


def fragment(*parts: str) -> str:
    """The parts together, as one piece of a notebook."""
    return f'<div style="font-family:system-ui,sans-serif">{"".join(parts)}</div>'
