"""One file of the author's, parsed: its statements, the names they bind, and what they change on the way."""

from __future__ import annotations

import ast
import functools
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tiphys.compiler.cells import notebook_of
from tiphys.compiler.line import Site
from tiphys.dsl.source.effects import Changes, Effect, changes_of
from tiphys.dsl.source.names_used import FunctionNode, scan
from tiphys.dsl.source.tree import nodes_of
from tiphys.errors import DefinitionError

__all__ = ["Module", "inside_strings", "module_of"]


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed source file. ``bindings``: name -> indexes of the top-level statements that bind it."""

    name: str
    path: str
    lines: tuple[str, ...]
    tree: ast.Module
    bindings: dict[str, tuple[int, ...]]
    effects: tuple[Effect, ...]
    changes: Changes
    authoring: frozenset[str]
    """The names that are for authors: what is made with them builds pipelines."""
    reads_docs: bool
    """Whether the code looks at docstrings."""
    reads_annotations: bool
    """Whether the code looks at annotations."""
    strings: frozenset[int]
    """The lines whose end is inside a string: nothing of them may be cut."""
    functions: dict[str, list[FunctionNode]]
    """Every ``def``, nested ones too, by its name."""
    before: int = 0
    """Of a notebook: how many lines of it are above the cell that was asked for."""

    def segment(self, node: ast.stmt) -> str:
        """The source of a statement with its decorators, without trailing blanks."""
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        lines = self.lines_of(first, node.end_lineno or first)
        last, begin = lines[-1].encode(), lines[0].encode()[: node.col_offset]
        # ``a = 1; a += 1``: each statement by itself
        if last[node.end_col_offset :].lstrip().startswith(b";"):
            lines[-1] = last[: node.end_col_offset].decode()
        if first == node.lineno and begin.rstrip().endswith(b";"):
            lines[0] = lines[0].encode()[node.col_offset :].decode()
        return "\n".join(lines)

    def lines_of(self, first: int, last: int) -> list[str]:
        """The lines from ``first`` to ``last``, counted from 1, without trailing blanks outside of strings."""
        numbered = enumerate(self.lines[first - 1 : last], first)
        return [line if number in self.strings else line.rstrip() for number, line in numbered]


def inside_strings(tree: ast.AST) -> frozenset[int]:
    """The numbers of the lines, from 1, whose end is inside a string of several lines."""
    found: set[int] = set()
    for node in nodes_of(tree):
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno != node.lineno:
            found.update(range(node.lineno, node.end_lineno or node.lineno))
    return frozenset(found)


def module_of(name: str, path: str, site: Site) -> Module:
    """The parsed module in ``path``, or the notebook that has a cell of this name. Raises DefinitionError (TIP112) when
    it cannot be read."""
    try:
        stat = Path(path).stat()
        return _read(name, path, stat.st_mtime_ns, stat.st_size)
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError) and (notebook := notebook_of(path)):
            return replace(_cells(name, notebook.path, notebook.text), before=notebook.before)
        raise DefinitionError(
            "TIP112",
            f"the source of {name} cannot be read: {error}",
            where=str(site),
            cause="the compiler reads the source to embed a function and to make its cache key",
            fix="define components in a file or in a notebook, not at Python's prompt",
        ) from error


@functools.lru_cache(maxsize=256)
def _read(name: str, path: str, _mtime: int, _size: int) -> Module:
    with tokenize.open(path) as file:  # in the encoding that the file says
        return _parse(name, path, file.read())


def _parse(name: str, path: str, text: str) -> Module:
    tree = ast.parse(text, path)
    bindings: dict[str, list[int]] = {}
    for index, statement in enumerate(tree.body):
        for bound in _bound(statement):
            bindings.setdefault(bound, []).append(index)
    effects, authoring, changes = changes_of(tree)
    return Module(
        name,
        path,
        tuple(text.split("\n")),
        tree,
        {k: tuple(v) for k, v in bindings.items()},
        effects,
        changes,
        authoring,
        "__doc__" in text,
        any(word in text for word in ("get_type_hints", "__annotations__", "signature(")),
        inside_strings(tree),
        _functions(tree),
    )


def _functions(tree: ast.Module) -> dict[str, list[FunctionNode]]:
    found: dict[str, list[FunctionNode]] = {}
    for node in nodes_of(tree):
        if isinstance(node, FunctionNode):
            found.setdefault(node.name, []).append(node)
    return found


_cells = functools.lru_cache(maxsize=8)(_parse)


def _bound(statement: ast.stmt) -> Iterable[str]:
    """The names a top-level statement binds, also inside its if/try/with/for blocks."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return (statement.name,)
    return scan(statement).stores
