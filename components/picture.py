"""A grey image as terminal text: two rows of pixels in a line of half blocks."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["beside", "draw"]

# From dark to bright; each stands for a fifth of the range.
_SHADES = " ░▒▓█"


def draw(image: Sequence[Sequence[int]], rows: int = 14) -> list[str]:
    """``image`` (rows of 0..255) as ``rows`` lines of plain text.

    A character is about twice as high as wide, so a line covers two rows of a 28 x 28 image for each column.
    Where the upper and the lower half differ strongly a half block is used.
    """
    height = len(image)
    lines = []
    for row in range(rows):
        top = image[row * height // rows]
        bottom = image[min(height - 1, (2 * row + 1) * height // (2 * rows))]
        lines.append("".join(_character(int(a), int(b)) for a, b in zip(top, bottom, strict=True)))
    return lines


def beside(left: Sequence[str], right: Sequence[str], gap: str = "   ") -> list[str]:
    """Two blocks of text side by side."""
    width = max((len(line) for line in left), default=0)
    total = max(len(left), len(right))
    padded_left = [*left, *[""] * (total - len(left))]
    padded_right = [*right, *[""] * (total - len(right))]
    return [(a.ljust(width) + gap + b).rstrip() for a, b in zip(padded_left, padded_right, strict=True)]


def _character(top: int, bottom: int) -> str:
    if top - bottom > 110:
        return "▀"
    if bottom - top > 110:
        return "▄"
    return _SHADES[min(len(_SHADES) - 1, (top + bottom) * len(_SHADES) // 511)]
