"""The cells of a notebook, which together stand for the file that a function in one of them is not in.

IPython keeps what was run, and under the name of each cell its text (:mod:`linecache`). Run again, a cell counts as it
was the last time.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Notebook", "notebook_of", "shown_cell"]

_NAME = "<notebook>"
_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Notebook:
    """``text``: the cells one after the other; ``path``: a name for it, in the working folder. ``before``: how many
    lines of it are above the cell that was asked for."""

    text: str
    path: str
    before: int


def notebook_of(path: str) -> Notebook | None:
    """The notebook in which code of the file name ``path`` was run; None when there is none."""
    wanted = "".join(linecache.getlines(path)).rstrip()
    cells = [(number, cell) for number, cell in _run() if cell.strip()]
    asked = [number for number, cell in cells if cell.rstrip() == wanted]
    if not wanted or not asked:
        return None
    lines, before = 0, 0
    kept = [(number, cell.rstrip() + "\n") for number, cell in cells if not _again(number, cell, cells)]
    for number, cell in kept:
        if number == asked[-1]:
            before = lines
        lines += cell.count("\n")
    return Notebook("".join(cell for _, cell in kept), os.path.join(os.getcwd(), _NAME), before)


def shown_cell(path: str, line: int) -> str:
    """``cell 3:2`` for a line of a cell, or of a notebook as a whole; empty for a line of a file."""
    if os.path.basename(path) == _NAME:
        cells = _run()
        for number, cell in cells:
            if not cell.strip() or _again(number, cell, cells):
                continue
            length = cell.rstrip().count("\n") + 1
            if line <= length:
                return f"cell {number}:{line}"
            line -= length
        return ""
    if os.path.exists(path):
        return ""
    text = "".join(linecache.getlines(path)).rstrip()
    found = [number for number, cell in _run() if text and cell.rstrip() == text]
    return f"cell {found[-1]}:{line}" if found else ""


def _run() -> list[tuple[int, str]]:
    """The cells that were run, by their numbers, in order."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return []
    cells = [*enumerate(shell.history_manager.input_hist_parsed)]
    return [(number, cell) for number, cell in cells if _tree(cell) is not None]


def _again(number: int, cell: str, cells: Sequence[tuple[int, str]]) -> bool:
    """Whether a later cell is this one, run again: the same text, or new definitions of all that it defines."""
    later = [other for at, other in cells if at > number]
    if any(other.rstrip() == cell.rstrip() for other in later):
        return True
    defined = _defined(cell)
    return bool(defined) and any(defined <= _defined(other) for other in later)


def _defined(cell: str) -> set[str]:
    """The names that a cell of nothing but definitions and imports binds; none for another one."""
    tree = _tree(cell)
    if tree is None or not all(isinstance(node, _DEFINES) for node in tree.body):
        return set()
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(each.asname or each.name).partition(".")[0] for each in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
    return found


def _tree(cell: str) -> ast.Module | None:
    try:
        return ast.parse(cell)
    except (SyntaxError, ValueError):
        return None
