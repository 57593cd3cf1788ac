"""A file's statements as Python runs them at import: blocks are entered, the bodies of functions are not."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TypeGuard

from tiphys.dsl.source.names_used import scan
from tiphys.dsl.source.tree import children, nodes_of

__all__ = [
    "BLOCKS",
    "DEFINITIONS",
    "bound",
    "calls",
    "expressions",
    "flat",
    "handed_on",
    "inner_bindings",
    "inside",
    "is_main",
    "targets",
    "walk",
]

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


def is_main(statement: ast.stmt) -> TypeGuard[ast.If]:
    """``if __name__ == "__main__":``"""
    if not isinstance(statement, ast.If) or not isinstance(statement.test, ast.Compare):
        return False
    sides = (statement.test.left, *statement.test.comparators)
    return any(isinstance(s, ast.Name) and s.id == "__name__" for s in sides) and any(
        isinstance(s, ast.Constant) and s.value == "__main__" for s in sides
    )


def inside(statement: ast.stmt) -> Iterator[ast.stmt]:
    """The statements directly inside a block."""
    if is_main(statement):
        yield from statement.orelse
        return
    for name in ("body", "orelse", "finalbody"):
        yield from getattr(statement, name, ())
    for handler in getattr(statement, "handlers", ()):
        yield from handler.body
    for case in getattr(statement, "cases", ()):
        yield from case.body


def walk(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """All statements that run when the module is imported; not the bodies of functions and classes."""
    for statement in statements:
        yield statement
        if isinstance(statement, BLOCKS):
            yield from walk(inside(statement))


def expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """The expressions of a statement itself, not those of the statements inside."""
    if is_main(statement):
        return
    for _, value in ast.iter_fields(statement):
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.expr):
                yield item
            elif isinstance(item, ast.withitem):
                yield item.context_expr
            elif isinstance(item, ast.match_case) and item.guard is not None:
                yield item.guard


def calls(expression: ast.expr) -> Iterator[ast.Call]:
    """The calls that happen when an expression is evaluated (a lambda's body waits)."""
    queue: list[ast.AST] = [expression]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Call):
            yield node
        queue.extend(children(node))


def targets(statement: ast.stmt) -> Iterator[ast.expr]:
    """What a statement assigns to or deletes, as it is written: a tuple is one."""
    if isinstance(statement, ast.Delete):
        yield from statement.targets
    else:
        yield from (target for target, _ in _assigned(statement))


def flat(target: ast.expr) -> Iterator[ast.expr]:
    """The single targets in one: names, attributes and items."""
    if isinstance(target, (ast.Tuple, ast.List)):
        for item in target.elts:
            yield from flat(item)
    elif isinstance(target, ast.Starred):
        yield from flat(target.value)
    else:
        yield target


def bound(target: ast.expr) -> Iterator[str]:
    """The names that assigning to a target binds."""
    return (part.id for part in flat(target) if isinstance(part, ast.Name))


def handed_on(statement: ast.stmt) -> Iterator[tuple[Iterable[str], ast.expr]]:
    """(names, value): what a statement, its blocks left out, lets these names hold or puts into what they hold."""
    for target, value in _assigned(statement):
        if value is not None:
            yield _roots(target), value
    if isinstance(statement, ast.Match):
        for case in statement.cases:
            yield scan(case.pattern).stores, statement.subject
    if not isinstance(statement, DEFINITIONS):
        for expression in expressions(statement):
            yield from inner_bindings(expression)


def inner_bindings(expression: ast.expr) -> Iterator[tuple[Iterable[str], ast.expr]]:
    """(names, value) of what an expression itself binds: by ``:=``, and for the items of a comprehension."""
    for node in nodes_of(expression):
        if isinstance(node, ast.NamedExpr):
            yield bound(node.target), node.value
        elif isinstance(node, ast.comprehension):
            yield bound(node.target), node.iter


def _assigned(statement: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """(target, value) of assignments, loops and ``with``."""
    if isinstance(statement, ast.Assign):
        yield from ((target, statement.value) for target in statement.targets)
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        yield statement.target, statement.value
    elif isinstance(statement, (ast.For, ast.AsyncFor)):
        yield statement.target, statement.iter
    elif isinstance(statement, (ast.With, ast.AsyncWith)):
        yield from ((item.optional_vars, item.context_expr) for item in statement.items if item.optional_vars)


def _roots(target: ast.expr) -> Iterator[str]:
    for part in flat(target):
        node = part
        while isinstance(node, (ast.Attribute, ast.Subscript)):
            node = node.value
        if isinstance(node, ast.Name):
            yield node.id
