"""A file's statements as Python runs them at import: blocks are entered, the bodies of functions are not."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

__all__ = [
    "BLOCKS",
    "DEFINITIONS",
    "bound",
    "calls",
    "expressions",
    "flat",
    "inside",
    "is_main",
    "roots",
    "targets",
    "walk",
]

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


def is_main(statement: ast.stmt) -> bool:
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
        yield from statement.orelse  # type: ignore[attr-defined]
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


def calls(expression: ast.expr) -> Iterator[ast.Call]:
    """The calls that happen when an expression is evaluated (a lambda's body waits)."""
    queue: list[ast.AST] = [expression]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Call):
            yield node
        queue.extend(ast.iter_child_nodes(node))


def targets(statement: ast.stmt) -> Iterator[ast.expr]:
    if isinstance(statement, (ast.Assign, ast.Delete)):
        yield from statement.targets
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign, ast.For, ast.AsyncFor)):
        yield statement.target
    elif isinstance(statement, (ast.With, ast.AsyncWith)):
        yield from (item.optional_vars for item in statement.items if item.optional_vars)


def flat(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, (ast.Tuple, ast.List)):
        for item in target.elts:
            yield from flat(item)
    elif isinstance(target, ast.Starred):
        yield from flat(target.value)
    else:
        yield target


def bound(target: ast.expr) -> Iterator[str]:
    return (part.id for part in flat(target) if isinstance(part, ast.Name))


def roots(target: ast.expr) -> Iterator[str]:
    for part in flat(target):
        node = part
        while isinstance(node, (ast.Attribute, ast.Subscript)):
            node = node.value
        if isinstance(node, ast.Name):
            yield node.id
