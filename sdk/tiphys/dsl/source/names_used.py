"""Which global names a piece of source uses, binds and imports: one pass over its syntax tree."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FunctionNode", "Names", "scan"]

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_SKIPPED = frozenset(["ctx", "op", "ops", "annotation", "returns", "type_comment", "kind", "type_params"])
_FIELDS: dict[type, tuple[str, ...]] = {ast.Constant: (), ast.Pass: ()}


@dataclass(slots=True)
class Names:
    """``loads``: names used and not bound inside -> first line; ``stores``: names bound; the imports inside.

    ``both``: names that a block uses and binds, in whatever order; ``declared``: those under ``global``.

    Annotations are not evaluated in embedded code and do not count. A function's own decorators do not count
    when the function itself is scanned: they belong to the compiler, not to the step.
    """

    loads: dict[str, int] = field(default_factory=dict)
    stores: set[str] = field(default_factory=set)
    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)
    declared: set[str] = field(default_factory=set)
    walrus: set[str] = field(default_factory=set)
    both: set[str] = field(default_factory=set)


def scan(node: ast.AST) -> Names:
    """The names of ``node``; the result is kept on the node."""
    known: Names | None = getattr(node, "_tiphys_names", None)
    if known is not None:
        return known
    names = Names()
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        names.stores.add(node.name)
        _defaults(node.args, names)
        _function(node.args, node.body, names)
        names.loads.pop(node.name, None)
    else:
        _visit(node, names)
        _subtract(names)
    node._tiphys_names = names  # type: ignore[attr-defined]
    return names


def _subtract(names: Names) -> None:
    """A module-level block may use what it binds itself."""
    for name in names.stores:
        if names.loads.pop(name, None) is not None:
            names.both.add(name)


def _visit(node: ast.AST, names: Names) -> None:
    """Collect from ``node`` into the scope ``names``."""
    kind = type(node)
    if kind is ast.Name:
        if isinstance(node.ctx, ast.Load):  # type: ignore[attr-defined]
            names.loads.setdefault(node.id, node.lineno)  # type: ignore[attr-defined]
        else:
            names.stores.add(node.id)  # type: ignore[attr-defined]
        return
    special = _SPECIAL.get(kind)
    if special is not None:
        special(node, names)
        return
    fields = _FIELDS.get(kind)
    if fields is None:
        fields = _FIELDS[kind] = tuple(f for f in kind._fields if f not in _SKIPPED)
    for name in fields:
        value = getattr(node, name, None)
        if value.__class__ is list:
            for item in value:
                if isinstance(item, ast.AST):
                    _visit(item, names)
        elif isinstance(value, ast.AST):
            _visit(value, names)


def _merge(inner: Names, outer: Names) -> None:
    """What an inner scope uses and does not bind is used by the outer one."""
    for name, line in inner.loads.items():
        if name not in inner.stores or name in inner.declared:
            outer.loads.setdefault(name, line)
    outer.imports.extend(inner.imports)


def _function(arguments: ast.arguments, body: list[ast.stmt] | list[ast.expr], outer: Names) -> None:
    inner = Names()
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        inner.stores.add(argument.arg)
    for extra in (arguments.vararg, arguments.kwarg):
        if extra is not None:
            inner.stores.add(extra.arg)
    for statement in body:
        _visit(statement, inner)
    _merge(inner, outer)


def _defaults(arguments: ast.arguments, names: Names) -> None:
    for default in (*arguments.defaults, *arguments.kw_defaults):
        if default is not None:
            _visit(default, names)


def _def(node: Any, names: Names) -> None:
    names.stores.add(node.name)
    for decorator in node.decorator_list:
        _visit(decorator, names)
    _defaults(node.args, names)
    _function(node.args, node.body, names)


def _lambda(node: Any, names: Names) -> None:
    _defaults(node.args, names)
    _function(node.args, [node.body], names)


def _class(node: Any, names: Names) -> None:
    names.stores.add(node.name)
    for part in (*node.decorator_list, *node.bases, *(k.value for k in node.keywords)):
        _visit(part, names)
    inner = Names()
    for statement in node.body:
        _visit(statement, inner)
    inner.loads.pop(node.name, None)
    _merge(inner, names)


def _comprehension(node: Any, names: Names) -> None:
    inner = Names()
    for generator in node.generators:
        _visit(generator, inner)
    for part in ("elt", "key", "value"):
        value = getattr(node, part, None)
        if value is not None:
            _visit(value, inner)
    names.stores |= inner.walrus  # `:=` in a comprehension binds in the function around it
    names.walrus |= inner.walrus
    _merge(inner, names)


def _augmented(node: Any, names: Names) -> None:
    if isinstance(node.target, ast.Name):
        names.loads.setdefault(node.target.id, node.lineno)
    _visit(node.target, names)
    _visit(node.value, names)


def _walrus(node: Any, names: Names) -> None:
    names.stores.add(node.target.id)
    names.walrus.add(node.target.id)
    _visit(node.value, names)


def _import(node: Any, names: Names) -> None:
    names.imports.append(node)
    for alias in node.names:
        plain = alias.name.split(".")[0] if isinstance(node, ast.Import) else alias.name
        names.stores.add(alias.asname or plain)


def _handler(node: Any, names: Names) -> None:
    if node.name:
        names.stores.add(node.name)
    if node.type is not None:
        _visit(node.type, names)
    for statement in node.body:
        _visit(statement, names)


def _capture(node: Any, names: Names) -> None:
    name = getattr(node, "name", None) or getattr(node, "rest", None)
    if name:
        names.stores.add(name)
    for part in ("pattern", "patterns", "keys"):
        value = getattr(node, part, None)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                _visit(item, names)


def _global(node: Any, names: Names) -> None:
    names.declared.update(node.names)


_SPECIAL: dict[type, Any] = {
    ast.FunctionDef: _def,
    ast.AsyncFunctionDef: _def,
    ast.Lambda: _lambda,
    ast.ClassDef: _class,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.DictComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.NamedExpr: _walrus,
    ast.AugAssign: _augmented,
    ast.Import: _import,
    ast.ImportFrom: _import,
    ast.ExceptHandler: _handler,
    ast.MatchAs: _capture,
    ast.MatchStar: _capture,
    ast.MatchMapping: _capture,
    ast.Global: _global,
}
