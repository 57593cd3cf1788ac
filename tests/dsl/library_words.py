"""Words for the library."""

from __future__ import annotations

WORD = "hello"


def word_for(name: str) -> str:
    """The name, louder."""
    return name.upper()


def unused() -> str:
    """Nobody calls this."""
    return "unused"
