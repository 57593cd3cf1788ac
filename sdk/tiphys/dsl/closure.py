"""The code that a function reaches: to embed it in a script, and to hash it for a cache key.

Everything is read from source, without importing anything that is not imported already. A module's top-level
statements are indexed by the names they bind; from a function the names it uses are followed through that index.
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

from tiphys.dsl.site import Site
from tiphys.errors import DefinitionError, did_you_mean

__all__ = ["Module", "check_names", "code_digest", "function_node", "module_digest", "module_of", "reached"]

_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__annotations__"}
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed source file. ``bindings``: name -> indexes of the top-level statements that bind it."""

    name: str
    path: str
    lines: tuple[str, ...]
    tree: ast.Module
    bindings: dict[str, tuple[int, ...]]
    has_star: bool

    def segment(self, node: ast.stmt) -> str:
        """The source of a statement with its decorators, without trailing blanks."""
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        return "\n".join(line.rstrip() for line in self.lines[first - 1 : node.end_lineno])


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
        name, path, tuple(text.splitlines()), tree, {k: tuple(v) for k, v in bindings.items()}, has_star
    )


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names a top-level statement binds, also inside its if/try/with/for blocks."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
        return
    for node in _walk_block(statement):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            yield node.id


def _walk_block(node: ast.AST) -> Iterator[ast.AST]:
    """Like ast.walk, but not into functions and classes."""
    yield node
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from _walk_block(child)


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


def used_names(node: ast.AST, *, own_decorators: bool = False) -> dict[str, int]:
    """Global names that ``node`` uses when it runs -> first line. Annotations are not evaluated and do not count."""
    uses: dict[str, int] = {}
    _Uses(uses).scan(node, own_decorators)
    return uses


class _Uses(ast.NodeVisitor):
    """Collects loads of names that no enclosing function binds."""

    def __init__(self, uses: dict[str, int]) -> None:
        self.uses = uses
        self.scopes: list[set[str]] = []

    def scan(self, node: ast.AST, own_decorators: bool) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if own_decorators:
                self._each(node.decorator_list)
            self._function(node)
        else:
            self.visit(node)

    def _each(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and not any(node.id in scope for scope in self.scopes):
            self.uses.setdefault(node.id, node.lineno)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._each([node.target, node.value])

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._each(node.decorator_list)
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._each(node.decorator_list)
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._arguments(node.args)
        self.scopes.append({a.arg for a in _all_arguments(node.args)})
        self.visit(node.body)
        self.scopes.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._each([*node.decorator_list, *node.bases, *(k.value for k in node.keywords)])
        self.scopes.append({name for s in node.body for name in _bound(s)})
        self._each(node.body)
        self.scopes.pop()

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        bound = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        self.scopes.append(bound)
        self.generic_visit(node)
        self.scopes.pop()

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815

    def _arguments(self, arguments: ast.arguments) -> None:
        self._each([*arguments.defaults, *arguments.kw_defaults])

    def _function(self, node: FunctionNode) -> None:
        self._arguments(node.args)
        scope = {a.arg for a in _all_arguments(node.args)}
        declared_global: set[str] = set()
        for statement in node.body:
            scope.update(_bound(statement))
            for inner in _walk_block(statement):
                if isinstance(inner, ast.ExceptHandler) and inner.name:
                    scope.add(inner.name)
                elif isinstance(inner, ast.Global):
                    declared_global.update(inner.names)
                elif isinstance(inner, (ast.MatchAs, ast.MatchStar)) and inner.name:
                    scope.add(inner.name)
                elif isinstance(inner, ast.MatchMapping) and inner.rest:
                    scope.add(inner.rest)
        self.scopes.append(scope - declared_global)
        self._each(node.body)
        self.scopes.pop()


def _all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    extra = [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra]


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
    """The top-level statements that ``names`` need, in file order."""
    found: set[int] = set()
    queue = list(names)
    seen: set[str] = set()
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        for index in module.bindings.get(name, ()):
            if index not in found:
                found.add(index)
                queue.extend(used_names(module.tree.body[index], own_decorators=True))
    return [module.tree.body[index] for index in sorted(found)]


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
    for statement in module.tree.body:
        _collect(module, (), _imports(statement), collected)
    return _hash(collected)


def _hash(collected: dict[tuple[str, str], str]) -> str:
    digest = hashlib.sha256()
    for (_, _), text in sorted(collected.items()):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:16]


def _imports(node: ast.AST) -> list[ast.Import | ast.ImportFrom]:
    return [n for n in ast.walk(node) if isinstance(n, (ast.Import, ast.ImportFrom))]


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
                _collect(found, (), _imports(found.tree), collected)
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
