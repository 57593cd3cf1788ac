"""The code that a function reaches: to embed it in a script, and to hash it for a cache key.

Everything is read from source, without importing anything that is not imported already. A module's top-level
statements are indexed by the names they bind; from a function the names it uses are followed through that
index.
"""

from __future__ import annotations

import ast
import builtins
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiphys.compiler.line import Site
from tiphys.dsl.effects import Effect, effects_of
from tiphys.dsl.names_used import FunctionNode, scan
from tiphys.errors import DefinitionError, did_you_mean

__all__ = ["Module", "check_names", "code_digest", "function_node", "module_digest", "module_of", "reached"]

_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__annotations__"}


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed source file. ``bindings``: name -> indexes of the top-level statements that bind it."""

    name: str
    path: str
    lines: tuple[str, ...]
    tree: ast.Module
    bindings: dict[str, tuple[int, ...]]
    has_star: bool
    effects: tuple[Effect, ...]

    def segment(self, node: ast.stmt) -> str:
        """The source of a statement with its decorators, without trailing blanks."""
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        lines = [line.rstrip() for line in self.lines[first - 1 : node.end_lineno]]
        last, begin = lines[-1].encode(), lines[0].encode()[: node.col_offset]
        if (
            last[node.end_col_offset :].lstrip().startswith(b";")
        ):  # ``a = 1; a += 1``: each statement by itself
            lines[-1] = last[: node.end_col_offset].decode()
        if first == node.lineno and begin.rstrip().endswith(b";"):
            lines[0] = lines[0].encode()[node.col_offset :].decode()
        return "\n".join(lines)


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
    text = Path(path).read_text(encoding="utf-8")
    tree = ast.parse(text, path)
    bindings: dict[str, list[int]] = {}
    has_star = False
    for index, statement in enumerate(tree.body):
        for bound in _bound(statement):
            if bound == "*":
                has_star = True
            bindings.setdefault(bound, []).append(index)
    return Module(
        name,
        path,
        tuple(text.splitlines()),
        tree,
        {k: tuple(v) for k, v in bindings.items()},
        has_star,
        effects_of(tree),
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
    if module.has_star:
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
            for index in module.bindings.get(name, ()):
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


def code_digest(function: Callable[..., Any], site: Site) -> str:
    """16 hex digits over the source that ``function`` reaches in its own package.

    Libraries do not count: the image names them. Comments inside reached functions do count.
    """
    module = module_of(function.__module__, function.__code__.co_filename, site)
    node = function_node(module, function, site)
    collected: dict[tuple[str, str], str] = {(module.name, function.__qualname__): module.segment(node)}
    _collect(module, used_names(node), _imports(node), collected)
    return _hash(collected)


def module_digest(name: str, path: str, site: Site) -> str:
    """16 hex digits over a whole module and what it reaches in its own package (for ``python -m NAME``)."""
    module = module_of(name, path, site)
    collected: dict[tuple[str, str], str] = {(module.name, ""): "\n".join(x.rstrip() for x in module.lines)}
    _collect(module, (), [i for s in module.tree.body for i in _imports(s)], collected)
    return _hash(collected)


def _hash(collected: dict[tuple[str, str], str]) -> str:
    digest = hashlib.sha256()
    for (_, _), text in sorted(collected.items()):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:16]


def _imports(node: ast.AST) -> list[ast.Import | ast.ImportFrom]:
    return scan(node).imports


def _collect(
    module: Module,
    names: Iterable[str],
    imports: list[ast.Import | ast.ImportFrom],
    collected: dict[tuple[str, str], str],
) -> None:
    statements = reached(module, names)
    for statement in statements:
        key = (module.name, f"{statement.lineno:06d}")
        if key not in collected:
            collected[key] = module.segment(statement)
            imports = [*imports, *_imports(statement)]
    for statement in imports:
        for target, wanted in _targets(module, statement):
            found = _own_module(module, target)
            if found is None or (found.name, f"import {wanted}") in collected:
                continue
            collected[(found.name, f"import {wanted}")] = ""
            if wanted is None or found.has_star:
                collected[(found.name, "")] = "\n".join(x.rstrip() for x in found.lines)
                _collect(found, (), [i for s in found.tree.body for i in _imports(s)], collected)
            else:
                _collect(found, [wanted], [], collected)


def _targets(module: Module, statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str | None]]:
    """(module, name or None for the whole module) of an import."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield alias.name, None
        return
    base = statement.module or ""
    if statement.level:
        package = module.name.split(".")[: -statement.level] if module.name else []
        base = ".".join([*package, *([base] if base else [])])
    for alias in statement.names:
        if _own_module(module, f"{base}.{alias.name}"):
            yield f"{base}.{alias.name}", None
        else:
            yield base, alias.name


def _own_module(module: Module, name: str) -> Module | None:
    """The module ``name`` when it belongs to the same top-level package as ``module``, else None."""
    package = module.name.split(".")[0]
    if name.split(".")[0] != package or name == module.name or "." not in module.name:
        return None
    loaded = sys.modules.get(name)
    path = getattr(loaded, "__file__", None)
    if path is None:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return None
        path = spec.origin if spec else None
    if not path or not path.endswith(".py"):
        return None
    return module_of(name, path, Site(path, 1))
