"""Text that others wrote, for a terminal."""

from __future__ import annotations

import contextlib
import os
import sys

from tiphys.lazy import regex

__all__ = ["columns", "plain"]

# what moves a terminal's cursor, changes its title or its order of writing
_CONTROLS = regex(r"[^\n\t -~\u00a0-\u200d\u2010-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\U0010ffff]|\ufeff")
_MOST = 4000


def plain(text: str, most: int = _MOST) -> str:
    """Text that others wrote, for a terminal: its control characters as escapes, and at most ``most`` characters.

    A step could else clear the screen of who looks at why it failed, or write what looks like this program's lines.
    """
    more = len(text) - most
    if more > 0:
        text = f"{text[:most]}… ({more} characters more)"
    if text.isascii() and text.isprintable():
        return text
    return _CONTROLS.sub(
        lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text
    )


def columns() -> int:
    """How wide the terminal is, as :func:`shutil.get_terminal_size` says, which is slow to import: with all kinds of
    archives."""
    with contextlib.suppress(KeyError, ValueError):
        if (said := int(os.environ["COLUMNS"])) > 0:
            return said
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    return 80
