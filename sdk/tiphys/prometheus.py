"""Prometheus' text format (0.0.4): labels and help, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["escaped", "labelled"]


def escaped(text: str) -> str:
    """The value of a label, between its quotes."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def labelled(labels: Iterable[tuple[str, str]]) -> str:
    """``{name="value",…}``; nothing for no labels."""
    inside = ",".join(f'{name}="{escaped(value)}"' for name, value in labels)
    return f"{{{inside}}}" if inside else ""
