"""What the evaluation of one expression may use: a workflow is not to stop who lints or runs it with a line of text.

The cells of lists and maps are counted as by expr-lang 1.17 (``conf.DefaultMemoryBudget``), all of one evaluation
together. Turns of ``map``, ``all``, ``reduce`` and their kin, and the length of a text, are bounded here alone: Argo's
controller goes on until it is killed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tiphys.expr.lexer import ExprError

__all__ = ["begin", "grow", "joined", "replaced", "text", "turn", "within"]

_CELLS = 1_000_000
_TURNS = 5_000_000
_TEXT = 1 << 26  # bytes of a text that an expression makes of shorter ones
_used = threading.local()


def begin() -> None:
    """An evaluation begins."""
    _used.cells = _used.turns = 0


def grow(size: int) -> None:
    """Make a list or a map of so many. Raises ExprError."""
    _used.cells = getattr(_used, "cells", 0) + max(0, size)
    if _used.cells >= _CELLS:
        raise ExprError("memory budget exceeded")


def turn(count: int) -> None:
    """Go through a list of so many. Raises ExprError."""
    _used.turns = getattr(_used, "turns", 0) + count
    if _used.turns > _TURNS:
        raise ExprError(f"more than {_TURNS} turns of map, filter, reduce and their kin")


def within(size: int, most: int = _CELLS) -> None:
    """Make something of so many, whatever else was made. Raises ExprError."""
    if size > most:
        raise ExprError("memory budget exceeded")


def text(size: int) -> None:
    """Make a text of so many bytes. Raises ExprError."""
    within(size, _TEXT)


def replaced(whole: str, old: str, new: str, count: int = -1) -> str:
    """``str.replace``. Raises ExprError."""
    text(len(whole) + whole.count(old) * len(new))
    return whole.replace(old, new, count)


def joined(separator: str, parts: Sequence[str]) -> str:
    """``str.join``. Raises ExprError."""
    text(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)
