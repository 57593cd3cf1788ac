"""The cells of a notebook, which together stand for the file that a function in one of them is not in.

IPython keeps what was run, and under the name of each cell its text (:mod:`linecache`). Run again, a cell counts as it
was the last time.
"""

from __future__ import annotations

import ast
import functools
import linecache
import os
import sys
from collections.abc import Sequence

from tiphys.frozen import frozen

__all__ = ["Notebook", "notebook_of", "shown_cell"]

_NAME = "<notebook>"


@frozen
class Notebook:
    """``text``: the cells one after the other; ``path``: a name for it, in the working folder. ``before``: how many
    lines of it are above the cell that was asked for."""

    text: str
    path: str
    before: int


def notebook_of(path: str) -> Notebook | None:
    """The notebook in which code of the file name ``path`` was run; None when there is none."""
    cells = _cells()
    asked = _number_of(path, cells)
    if not asked:
        return None
    kept = _kept(cells)
    before = sum(_length(cell) for number, cell in kept if number < asked)
    text = "".join(cell.rstrip() + "\n" for _, cell in kept)
    return Notebook(text, os.path.join(os.getcwd(), _NAME), before)


def shown_cell(path: str, line: int) -> str:
    """``cell 3:2`` for a line of a cell, or of a notebook as a whole; empty for a line of a file."""
    cells = _cells()
    if not cells:
        return ""
    if os.path.basename(path) == _NAME:
        for number, cell in _kept(cells):
            if line <= _length(cell):
                return f"cell {number}:{line}"
            line -= _length(cell)
        return ""
    asked = 0 if os.path.exists(path) else _number_of(path, cells)
    return f"cell {asked}:{line}" if asked else ""


Cells = Sequence[tuple[int, str]]
"""Numbers and texts of cells, in the order in which they were run."""


def _cells() -> Cells:
    """Those that were run and are Python."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return []
    run = enumerate(shell.history_manager.input_hist_parsed)
    return [(number, cell) for number, cell in run if cell.strip() and _defined(cell) is not None]


def _number_of(path: str, cells: Cells) -> int:
    """The cell whose code has the file name ``path``, as it was run last; 0: none."""
    wanted = "".join(linecache.getlines(path)).rstrip()
    return next((number for number, cell in reversed(cells) if wanted and cell.rstrip() == wanted), 0)


def _kept(cells: Cells) -> Cells:
    """Without those that were run again: a later one has their text, or new definitions of all that they define."""
    kept: list[tuple[int, str]] = []
    texts: set[str] = set()
    later: list[frozenset[str]] = []
    for number, cell in reversed(cells):
        defined = _defined(cell) or frozenset()
        if cell.rstrip() not in texts and not (defined and any(defined <= each for each in later)):
            kept.append((number, cell))
        texts.add(cell.rstrip())
        later.append(defined)
    return kept[::-1]


def _length(cell: str) -> int:
    """In lines."""
    return cell.rstrip().count("\n") + 1


@functools.lru_cache(maxsize=4096)
def _defined(cell: str) -> frozenset[str] | None:
    """The names that a cell of nothing but definitions and imports binds; none for another one, None for no Python."""
    try:
        tree = ast.parse(cell)
    except (SyntaxError, ValueError):
        return None
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(each.asname or each.name).partition(".")[0] for each in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        else:
            return frozenset()
    return frozenset(found)
