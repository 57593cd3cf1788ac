"""The code that a function reaches in its file: to embed it in a script, and to hash it for a cache key.

Everything is read from source, without importing anything that is not imported already. A module's top-level
statements are indexed by the names they bind; from a function the names it uses are followed through that
index.
"""

from __future__ import annotations

import ast
import builtins
import functools
import tokenize
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiphys.compiler.line import Site
from tiphys.dsl.source.effects import Effect, effects_of
from tiphys.dsl.source.names_used import FunctionNode, scan
from tiphys.errors import DefinitionError, did_you_mean

__all__ = ["Module", "check_names", "function_node", "inside_strings", "module_of", "reached"]

_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__annotations__"}


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed source file. ``bindings``: name -> indexes of the top-level statements that bind it."""

    name: str
    path: str
    lines: tuple[str, ...]
    tree: ast.Module
    bindings: dict[str, tuple[int, ...]]
    effects: tuple[Effect, ...]
    authoring: frozenset[str]
    """The names that are for authors: what is made with them builds pipelines."""
    reads_docs: bool
    """Whether the code looks at docstrings."""
    strings: frozenset[int]
    """The lines whose end is inside a string: nothing of them may be cut."""

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
    for node in ast.walk(tree):
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno != node.lineno:
            found.update(range(node.lineno, node.end_lineno or node.lineno))
    return frozenset(found)


def module_of(name: str, path: str, site: Site) -> Module:
    """The parsed module in ``path``. Raises DefinitionError (TIP112) when it cannot be read."""
    try:
        stat = Path(path).stat()
        return _parse(name, path, stat.st_mtime_ns, stat.st_size)
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise DefinitionError(
            "TIP112",
            f"the source of {name} cannot be read: {error}",
            where=str(site),
            cause="the compiler reads the source to embed a function and to make its cache key",
            fix="define components in a file, not in an interactive session",
        ) from error


@functools.lru_cache(maxsize=256)
def _parse(name: str, path: str, _mtime: int, _size: int) -> Module:
    with tokenize.open(path) as file:  # in the encoding that the file says
        text = file.read()
    tree = ast.parse(text, path)
    bindings: dict[str, list[int]] = {}
    for index, statement in enumerate(tree.body):
        for bound in _bound(statement):
            bindings.setdefault(bound, []).append(index)
    effects, authoring = effects_of(tree)
    return Module(
        name,
        path,
        tuple(text.split("\n")),
        tree,
        {k: tuple(v) for k, v in bindings.items()},
        effects,
        authoring,
        "__doc__" in text,
        inside_strings(tree),
    )


def _bound(statement: ast.stmt) -> Iterable[str]:
    """The names a top-level statement binds, also inside its if/try/with/for blocks."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return (statement.name,)
    return scan(statement).stores


def function_node(module: Module, function: Callable[..., Any], site: Site) -> FunctionNode:
    """The definition of ``function`` in its module (by name and line, so nested ones are found too)."""
    line = function.__code__.co_firstlineno
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == function.__name__:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first <= line <= node.lineno:
                return node
    raise DefinitionError(
        "TIP112",
        f"the source of {function.__name__} is not in {module.path}",
        where=str(site),
        fix="write the component with `def` at the top level of its file",
    )


def used_names(node: ast.AST) -> dict[str, int]:
    """Global names that ``node`` uses when it runs -> first line."""
    return scan(node).loads


def check_names(module: Module, node: FunctionNode, site: Site) -> None:
    """Refuse a name that the file never binds (TIP111): it would be a NameError in the pod."""
    if "*" in module.bindings:
        return
    for name, line in used_names(node).items():
        if name not in module.bindings and name not in _BUILTINS:
            near = did_you_mean(name, [*module.bindings, *_BUILTINS])
            raise DefinitionError(
                "TIP111",
                f"{node.name} uses {name!r}, which {Path(module.path).name} does not define.{near}",
                where=str(Site(module.path, line)),
                cause="only what the file defines or imports at its top level travels with the function",
                fix=f"import or define {name} at the top of the file, or inside {node.name}",
            )


def reached(module: Module, names: Iterable[str]) -> list[ast.stmt]:
    """The top-level statements that ``names`` need, in file order: those that bind them, and those that change them.

    Raises DefinitionError (TIP124) for one that changes them and cannot travel, or hides what it does.
    """
    found: set[int] = set()
    queue = list(names)
    seen: set[str] = set()
    while queue:
        while queue:
            name = queue.pop()
            if name in seen:
                continue
            seen.add(name)
            stars = () if name in _BUILTINS else module.bindings.get("*", ())
            for index in (*module.bindings.get(name, ()), *stars):  # ``K |= …`` needs what the star brought
                if index not in found:
                    found.add(index)
                    queue.extend(_needs(module.tree.body[index]))
        for effect in module.effects:
            if effect.unfollowed or not effect.touches.isdisjoint(seen):
                _refuse_effect(module, effect)
                if effect.index not in found:
                    found.add(effect.index)
                    queue.extend(_needs(module.tree.body[effect.index]))
    return [module.tree.body[index] for index in sorted(found)]


def _refuse_effect(module: Module, effect: Effect) -> None:
    where = f"{module.path}:{effect.line}"
    if effect.unfollowed:
        raise DefinitionError(
            "TIP124",
            f"{effect.unfollowed} at the top level hides which names this file binds or changes",
            where=where,
            cause="the statements that a step needs are found by the names in them",
            fix='write the names out, or move the statement under `if __name__ == "__main__":`',
        )
    if effect.authoring:
        changed = ", ".join(sorted(effect.touches & module.bindings.keys())) or "a name"
        raise DefinitionError(
            "TIP124",
            f"this statement changes {changed}, which a step uses, and builds the pipeline, too",
            where=where,
            cause="what builds the pipeline stays here, so the step would run without the change",
            fix=f"change {changed} in a statement of its own, outside of what builds the pipeline",
        )


def _needs(statement: ast.stmt) -> Iterator[str]:
    """The names a top-level statement needs, decorators included: they travel with it."""
    names = scan(statement)
    yield from names.loads
    yield from names.both
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for decorator in statement.decorator_list:
            yield from scan(decorator).loads
