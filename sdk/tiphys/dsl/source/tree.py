"""The nodes of a syntax tree: those directly below one, and all of them. Each question about a file walks its tree."""

from __future__ import annotations

import ast

__all__ = ["children", "nodes_of"]

_MARKS = frozenset(["ctx", "op", "ops"])  # fields that say how a node is used: nothing is below them
_FIELDS: dict[type, tuple[str, ...]] = {}


def children(node: ast.AST) -> tuple[ast.AST, ...]:
    """The nodes directly below ``node``, in the order of the source, without marks such as ``Load`` and ``Add``.

    They are kept on the node: a tree that was asked once may not be changed (a changed node is a new one).
    """
    known: tuple[ast.AST, ...] | None = getattr(node, "_tiphys_children", None)
    if known is not None:
        return known
    kind = type(node)
    fields = _FIELDS.get(kind)
    if fields is None:
        fields = _FIELDS[kind] = tuple(name for name in kind._fields if name not in _MARKS)
    found: list[ast.AST] = []
    for name in fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    node._tiphys_children = known = tuple(found)  # type: ignore[attr-defined]
    return known


def nodes_of(node: ast.AST) -> list[ast.AST]:
    """``node`` and all below it, level by level, as ``ast.walk`` gives them."""
    found = [node]
    for each in found:  # it grows meanwhile
        found += children(each)
    return found
