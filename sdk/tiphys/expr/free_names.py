"""What an expression takes from its environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiphys.expr.parser import Tree

__all__ = ["FreeNames", "certain_paths"]


class FreeNames:
    """``roots``: free names with their first members (None: not known); ``paths``: dotted; ``places``: where first."""

    __slots__ = ("paths", "places", "roots")

    def __init__(self, tree: Tree) -> None:
        self.roots: dict[str, set[str] | None] = {}
        self.paths: list[tuple[str, ...]] = []
        self.places: dict[str, int] = {}
        _collect(tree, self, frozenset())


def _collect(tree: Any, free: FreeNames, bound: frozenset[str]) -> None:
    path = _named(tree)
    if path and path[0] not in bound:
        name = path[0]
        free.paths.append(path)
        free.places.setdefault(name, _start(tree))
        if len(path) == 1:
            free.roots[name] = None
        else:
            known = free.roots.setdefault(name, set())
            if known is not None:
                known.add(path[1])
        return
    for part, names in _parts(tree, bound):
        _collect(part, free, names)


_TAKES_NIL = frozenset(["all", "any", "coalesce", "default", "empty", "ternary"])


def certain_paths(tree: Tree) -> list[tuple[str, ...]]:
    """Return the dotted names that must be there: not what is called, not what may be nil (``?.``, ``??``, ``!= nil``).

    What an alternative needs (``a ? b : c``) is not among them either.
    """
    found: list[tuple[str, ...]] = []
    _certain(tree, found, frozenset())
    return found


def _certain(tree: Any, found: list[tuple[str, ...]], bound: frozenset[str]) -> None:
    path = _named(tree)
    if path:
        if path[0] not in bound:
            found.append(path)
        return
    kind = tree[0] if isinstance(tree, tuple) and tree else None
    if kind == "call":
        callee = _path(tree[1])
        if callee[:1] != ("sprig",) or callee[-1] not in _TAKES_NIL:
            if tree[1][0] == "member":
                _certain(tree[1][1], found, bound)
            _certain(tree[2], found, bound)
    elif kind == "cond":
        _certain(tree[1], found, bound)
    elif kind == "binary" and tree[1] in ("&&", "||", "in"):
        _certain(tree[2], found, bound)
    elif kind == "chain" or (kind == "binary" and (tree[1] == "??" or _nil(tree[2]) or _nil(tree[3]))):
        return
    else:
        for part, names in _parts(tree, bound):
            _certain(part, found, names)


def _named(tree: Any) -> tuple[str, ...]:
    """The dotted name that a tree is; empty for anything else."""
    return _path(tree) if isinstance(tree, tuple) and tree else ()


def _parts(tree: Any, bound: frozenset[str]) -> Iterator[tuple[Any, frozenset[str]]]:
    """The trees below a tree, each with the names that ``let`` binds there."""
    if isinstance(tree, list) or _pair(tree):
        yield from ((item, bound) for item in tree)
    elif isinstance(tree, tuple) and tree and tree[0] == "let":
        yield tree[2], bound
        yield tree[3], bound | {tree[1]}
    elif isinstance(tree, tuple) and tree and tree[0] != "const":
        yield from ((part, bound) for part in tree[1:] if isinstance(part, (tuple, list)))


def _pair(tree: Any) -> bool:
    """Whether it is a key of a map with its value, both trees."""
    return isinstance(tree, tuple) and bool(tree) and isinstance(tree[0], tuple)


def _nil(tree: Tree) -> bool:
    return tree[:2] == ("const", None)


def _path(tree: Tree) -> tuple[str, ...]:
    """Return ``("a", "b")`` for ``a.b`` or ``a['b']``; empty for anything else."""
    if tree[0] == "name":
        return (tree[1],)
    if tree[0] == "member" and tree[2][0] == "const" and isinstance(tree[2][1], str):
        outer = _path(tree[1])
        return (*outer, tree[2][1]) if outer else ()
    return ()


def _start(tree: Tree) -> int:
    position: int = tree[-1] if tree[0] == "name" else _start(tree[1])
    return position
