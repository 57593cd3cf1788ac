"""Text in a drawing: escaped, shortened, measured."""

from __future__ import annotations

import re
import unicodedata
from xml.sax.saxutils import escape as _xml

__all__ = ["escape", "shorten", "width_of", "wrap"]

# XML 1.0 has no way to write these characters
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_NARROW = set("iljtfrI.,:;'|!()[]{} -")
_WIDE = set("mwMW@%")


def escape(text: str) -> str:
    """Text for XML and HTML, also inside attributes."""
    return _xml(_ILLEGAL.sub("\ufffd", text), {'"': "&quot;", "'": "&#39;"})


def width_of(text: str, size: float) -> float:
    """About how wide a line is in a common sans-serif font, in pixels."""
    total = 0.0
    for character in text:
        if character in _NARROW:
            total += 0.40
        elif character in _WIDE:
            total += 0.98
        elif unicodedata.east_asian_width(character) in "WF":
            total += 1.05
        elif character.isupper():
            total += 0.74
        else:
            total += 0.635
    return total * size


def shorten(text: str, limit: float, size: float) -> str:
    """``text`` on one line of at most ``limit`` pixels."""
    text = " ".join(text.split())
    if width_of(text, size) <= limit:
        return text
    while text and width_of(text + "…", size) > limit:
        text = text[:-1]
    return text.rstrip() + "…"


def wrap(text: str, limit: float, size: float, lines: int) -> list[str]:
    """``text`` on at most ``lines`` lines."""
    result: list[str] = []
    current = ""
    for word in text.split():
        wider = f"{current} {word}".strip()
        if current and width_of(wider, size) > limit:
            result.append(current)
            current = word
        else:
            current = wider
    result.append(current)
    if len(result) > lines:
        result = [*result[: lines - 1], " ".join(result[lines - 1 :])]
    return [shorten(line, limit, size) for line in result if line]
