"""Paths as the code writes them: where one begins, and its text when that is known before anything runs."""

from __future__ import annotations

import ast
import builtins
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tiphys.dsl.source.tree import children, nodes_of

if TYPE_CHECKING:
    from tiphys.dsl.source.module import Module

__all__ = ["FUNCTIONS", "FunctionScope", "PathReader", "assigned", "own_nodes", "words"]


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


_PATHS = words(
    """pathlib.Path pathlib.PurePath pathlib.PosixPath str os.fspath os.path.join os.path.dirname os.path.abspath
    os.path.realpath os.path.normpath os.path.expanduser importlib.resources.files pathlib.Path.home pathlib.Path.cwd
    os.getcwd"""
)
_PATH_METHODS = words(
    "joinpath with_suffix with_name with_stem resolve absolute expanduser format replace strip lower removesuffix"
)
_LISTING = words("glob rglob iterdir")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(slots=True)
class FunctionScope:
    """A function's names: what they were assigned; None for what comes from outside (a parameter)."""

    names: dict[str, list[ast.expr | None]] = field(default_factory=dict)
    function: str = ""
    parameters: tuple[str, ...] = ()


class PathReader:
    """What expressions of ``module`` say of paths; ``scopes`` are the functions around one, the outermost first."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._imported = _imported(module.tree)
        self._top = _assigned_at_top(module.tree)

    def dotted(self, node: ast.expr, scopes: list[FunctionScope]) -> str:
        """``np.load`` as ``numpy.load``; empty for what is no plain name, or is bound in the function."""
        if isinstance(node, ast.Attribute):
            base = self.dotted(node.value, scopes)
            return f"{base}.{node.attr}" if base else ""
        if not isinstance(node, ast.Name):
            return ""
        if node.id in self._imported:
            return self._imported[node.id]
        bound = any(node.id in s.names for s in scopes) or node.id in self._module.bindings
        return "" if bound or not hasattr(builtins, node.id) else node.id

    def _values(self, name: str, scopes: list[FunctionScope]) -> list[ast.expr | None] | None:
        """What a name was assigned; None when nobody knows."""
        for scope in reversed(scopes):
            if name in scope.names:
                return scope.names[name]
        return self._top.get(name)

    def fixed(self, node: ast.expr, scopes: list[FunctionScope], seen: frozenset[str] = frozenset()) -> bool:
        """Whether where a path begins is written in the code, and not given to the step."""
        match node:
            case ast.Constant(value=str() | bytes()):
                return True
            case ast.Name(id=name):
                if name == "__file__":
                    return True
                values = self._values(name, scopes)
                if values is None:
                    origin = self._imported.get(name, "")
                    return "." in origin and not origin.startswith(("os.", "sys.", "tempfile."))
                return name not in seen and all(
                    value is not None and self.fixed(value, scopes, seen | {name}) for value in values
                )
            case ast.Attribute(value=value, attr=attribute):
                name = self.dotted(node, scopes)
                if name and name.split(".")[0] not in ("os", "sys", "tempfile"):
                    return True
                if isinstance(value, ast.Name) and value.id in self._module.bindings and not name:
                    return not any(value.id in s.names for s in scopes)
                return attribute in ("parent", "parents", "name", "stem") and self.fixed(value, scopes, seen)
            case ast.BinOp(left=left):
                return self.fixed(left, scopes, seen)
            case ast.JoinedStr(values=[first, *_]):
                return self.fixed(first, scopes, seen)
            case ast.FormattedValue(value=value):
                return self.fixed(value, scopes, seen)
            case ast.Subscript(value=value):
                return self.fixed(value, scopes, seen)
            case ast.Dict(values=items) | ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return bool(items) and all(self.fixed(item, scopes, seen) for item in items)
            case ast.IfExp(body=one, orelse=two):
                return self.fixed(one, scopes, seen) or self.fixed(two, scopes, seen)
            case ast.BoolOp(values=items):
                return any(self.fixed(item, scopes, seen) for item in items)
            case ast.Call(func=function, args=args):
                name = self.dotted(function, scopes)
                if name in _PATHS:
                    return not args or self.fixed(args[0], scopes, seen)
                if isinstance(function, ast.Attribute) and function.attr == "join" and args and not name:
                    return self.fixed(args[0], scopes, seen)
                if isinstance(function, ast.Attribute) and function.attr in (*_PATH_METHODS, *_LISTING):
                    return self.fixed(function.value, scopes, seen)
                return False
        return False

    def start(self, node: ast.expr, scopes: list[FunctionScope]) -> str | None:
        """The text that a path begins with, as far as it is known."""
        match node:
            case ast.BinOp(left=left):
                text = self.start(left, scopes)
                return text + "/" if text is not None and isinstance(node.op, ast.Div) else text
            case ast.JoinedStr(values=[first, *_]):
                return self.start(first, scopes)
            case ast.Call(args=[first, *_]) if self.dotted(node.func, scopes) in _PATHS:
                text = self.start(first, scopes)
                return None if text is None else text + "/"
            case ast.Name(id=name):
                values = self._values(name, scopes)
                only = values[0] if values and len(values) == 1 else None
                return None if only is None else self.start(only, [])
        return self.text(node, scopes)

    def text(self, node: ast.expr, scopes: list[FunctionScope], depth: int = 0) -> str | None:
        """The text of an expression that is known before it runs: constants, and paths made of them."""
        if depth > 20:
            return None

        def text(part: ast.expr) -> str | None:
            return self.text(part, scopes, depth + 1)

        match node:
            case ast.Constant(value=str() as value):
                return value
            case ast.Name(id="__file__"):
                return self._module.path
            case ast.Name(id="__name__"):
                return self._module.name
            case ast.Name(id="__package__"):
                is_package = os.path.basename(self._module.path) == "__init__.py"
                return self._module.name if is_package else self._module.name.rpartition(".")[0]
            case ast.Name(id=name):
                values = self._values(name, scopes)
                only = values[0] if values and len(values) == 1 else None
                return None if only is None else text(only)
            case ast.Attribute(value=value, attr="parent"):
                base = text(value)
                return None if base is None else os.path.dirname(base)
            case ast.Subscript(
                value=ast.Attribute(value=value, attr="parents"), slice=ast.Constant(value=int() as up)
            ):
                base = text(value)
                for _ in range(up + 1):
                    base = None if base is None else os.path.dirname(base)
                return base
            case ast.BinOp(left=left, op=ast.Div() | ast.Add(), right=right):
                one, two = text(left), text(right)
                if one is None or two is None:
                    return None
                return os.path.join(one, two) if isinstance(node.op, ast.Div) else one + two
            case ast.Call(func=function, args=args):
                name = self.dotted(function, scopes)
                joined = [text(a) for a in args]
                if isinstance(function, ast.Attribute) and not name.startswith(("os.", "pathlib.")):
                    base = text(function.value)
                    if function.attr in ("resolve", "absolute") and not args:
                        return base
                    if base is None or None in joined or not args:
                        return None
                    if function.attr == "joinpath":
                        return os.path.join(base, *map(str, joined))
                    if function.attr == "with_name":
                        return os.path.join(os.path.dirname(base), str(joined[0]))
                    return None
                if name not in _PATHS or not args or None in joined:
                    return None
                if name == "os.path.dirname":
                    return os.path.dirname(str(joined[0]))
                if name in ("os.path.expanduser", "importlib.resources.files"):
                    return None
                return os.path.join(*map(str, joined))
        return None

    def parameter(
        self, node: ast.expr, scopes: list[FunctionScope], depth: int = 0
    ) -> tuple[str, str] | None:
        """(function, parameter) when a path begins with a parameter of the function around it: see ``names`` of it."""
        scope = scopes[-1] if scopes else None
        if scope is None or not scope.function or depth > 20:
            return None

        def of(part: ast.expr) -> tuple[str, str] | None:
            return self.parameter(part, scopes, depth + 1)

        match node:
            case ast.Name(id=name):
                values = scope.names.get(name, ())
                if name in scope.parameters:
                    return scope.function, name
                return next((found for v in values if v is not None and (found := of(v))), None)
            case ast.Attribute(value=value, attr="parent"):
                return of(value)
            case ast.BinOp(left=left):
                return of(left)
            case ast.JoinedStr(values=[ast.FormattedValue(value=value), *_]):
                return of(value)
            case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in _PATH_METHODS:
                return of(value)
            case ast.Call(args=[first, *_]) if self.dotted(node.func, scopes) in _PATHS:
                return of(first)
        return None


# Facts of a whole file, asked for at each of its statements
@functools.lru_cache(maxsize=256)
def _imported(tree: ast.Module) -> Mapping[str, str]:
    """Name -> what it was imported as, anywhere in the file: ``np`` -> ``numpy``."""
    known: dict[str, str] = {}
    for node in nodes_of(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                known[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
    return known


@functools.lru_cache(maxsize=256)
def _assigned_at_top(tree: ast.Module) -> Mapping[str, list[ast.expr | None]]:
    return assigned(tree.body)


def assigned(body: Iterable[ast.AST]) -> dict[str, list[ast.expr | None]]:
    """Name -> the values that a scope assigns to it; None for one that cannot be told (a part, a pattern)."""
    found: dict[str, list[ast.expr | None]] = {}
    for node in own_nodes(body):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and isinstance(node.target, ast.Name):
            found.setdefault(node.target.id, []).append(node.value)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)) and isinstance(
            node.target, ast.Name
        ):
            found.setdefault(node.target.id, []).append(node.iter)
        elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
            found.setdefault(node.optional_vars.id, []).append(node.context_expr)
    return found


def own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of a scope, not those of the functions inside."""
    queue = list(body)
    while queue:
        node = queue.pop()
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            queue.extend(children(node))
