"""expr-lang programs: a tree compiled once to Python closures and run over an environment of plain values.

Go's kinds map to Python's: int, float64 -> float, string, bool, nil -> None, slices -> list, maps -> dict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tiphys.engine.expr import builtins as library
from tiphys.engine.expr.closures import CLOSURES
from tiphys.engine.expr.lexer import ExprError
from tiphys.engine.expr.operators import BINARY, equal, truth
from tiphys.engine.expr.parser import Tree, parse

Value = Any
Frame = dict[str, Value]
Code = Callable[[Frame], Value]

__all__ = ["ExprError", "Program", "compile_expression", "evaluate"]


class _Nil(Exception):
    """``?.`` met nil: the whole chain is nil."""


class Program:
    """A compiled expression.

    Attributes
    ----------
    roots:
        For every free name the set of first members it is used with, or None when that cannot be told statically.
    """

    __slots__ = ("_code", "roots", "source")

    def __init__(self, source: str, tree: Tree) -> None:
        self.source = source
        self.roots: dict[str, set[str] | None] = {}
        _collect(tree, self.roots, frozenset())
        self._code = _compile(tree)

    def run(self, environment: Mapping[str, Value]) -> Value:
        """Evaluate.

        Raises
        ------
        ExprError
            A name that the environment lacks, a wrong type, anything that expr-lang would refuse.
        """
        for root in self.roots:
            if root not in environment:
                raise ExprError(f"unknown name {root}")
        frame = dict(environment)
        frame["\0env"] = environment
        try:
            return self._code(frame)
        except ExprError as error:
            raise error.located(self.source) from None
        except _Nil:
            return None
        except RecursionError as error:
            raise ExprError("expression is nested too deeply") from error
        except (
            TypeError,
            ValueError,
            KeyError,
            IndexError,
            AttributeError,
            OverflowError,
            ArithmeticError,
            re.error,
        ) as error:
            raise ExprError(str(error) or type(error).__name__) from error


@lru_cache(maxsize=8192)
def compile_expression(source: str) -> Program:
    """Parse and compile ``source``; kept for later calls with the same text."""
    try:
        return Program(source, parse(source, library.NAMES))
    except ExprError as error:
        raise error.located(source) from None


def evaluate(source: str, environment: Mapping[str, Value]) -> Value:
    """Evaluate ``source`` over ``environment``."""
    return compile_expression(source).run(environment)


def _collect(tree: Value, roots: dict[str, set[str] | None], bound: frozenset[str]) -> None:
    if isinstance(tree, list):
        for item in tree:
            _collect(item, roots, bound)
        return
    if not isinstance(tree, tuple) or not tree:
        return
    kind = tree[0]
    if kind == "name":
        if tree[1] not in bound:
            roots[tree[1]] = None
    elif kind == "member" and tree[1][0] == "name" and tree[2][0] == "const" and isinstance(tree[2][1], str):
        name = tree[1][1]
        if name not in bound:
            known = roots.setdefault(name, set())
            if known is not None:
                known.add(tree[2][1])
    elif kind == "let":
        _collect(tree[2], roots, bound)
        _collect(tree[3], roots, bound | {tree[1]})
    elif kind == "const":
        return
    else:
        for part in tree[1:]:
            if isinstance(part, (tuple, list)):
                _collect(part, roots, bound)


def _compile(tree: Tree) -> Code:
    return _COMPILERS[tree[0]](tree)


def _const(tree: Tree) -> Code:
    value = tree[1]
    return lambda frame: value


def _name(tree: Tree) -> Code:
    name = tree[1]
    if name == "$env":
        return lambda frame: frame["\0env"]

    def run(frame: Frame) -> Value:
        try:
            return frame[name]
        except KeyError:
            raise ExprError(f"unknown name {name}") from None

    return run


def fetch(value: Value, key: Value) -> Value:
    """Return ``value[key]`` as expr-lang does: nil for a missing map key, negative indexes count from the end."""
    if isinstance(value, Mapping):
        return value.get(key)
    if value is None:
        raise ExprError(f"cannot fetch {key} from <nil>")
    if isinstance(value, (list, tuple, str)):
        if isinstance(key, float) and key.is_integer():
            key = int(key)
        if isinstance(value, str) and isinstance(key, str):
            raise ExprError("invalid operation: int(string)")
        if not isinstance(key, int) or isinstance(key, bool):
            raise ExprError(f"cannot fetch {key} from {library.type_name(value)}")
        if not -len(value) <= key < len(value):
            raise ExprError(f"index out of range: {key} (array length is {len(value)})")
        return value[key]
    member = getattr(value, "expr_member", None)
    if member is not None:
        return member(key)
    raise ExprError(f"cannot fetch {key} from {library.type_name(value)}")


def _member(tree: Tree) -> Code:
    target, key, optional, position = _compile(tree[1]), _compile(tree[2]), tree[3], tree[4]

    def run(frame: Frame) -> Value:
        value = target(frame)
        if value is None and optional:
            raise _Nil
        try:
            return fetch(value, key(frame))
        except ExprError as error:
            raise (error if error.position is not None else ExprError(str(error), position)) from None

    return run


def _slice(tree: Tree) -> Code:
    target = _compile(tree[1])
    start = _compile(tree[2]) if tree[2] else None
    end = _compile(tree[3]) if tree[3] else None

    def run(frame: Frame) -> Value:
        value = target(frame)
        if not isinstance(value, (str, list, tuple)):
            raise ExprError(f"cannot slice {library.type_name(value)}")
        size = len(value)
        low = start(frame) if start else 0
        high = end(frame) if end else size
        low = max(low + size, 0) if low < 0 else low
        high = max(high + size, 0) if high < 0 else high
        return value[min(low, size) : min(high, size)] if low <= high else value[:0]

    return run


def _call(tree: Tree) -> Code:
    function = _compile(tree[1])
    arguments = [_compile(item) for item in tree[2]]

    def run(frame: Frame) -> Value:
        target = function(frame)
        if not callable(target):
            raise ExprError(f"{library.type_name(target)} is not callable")
        return target(*[argument(frame) for argument in arguments])

    return run


def _builtin(tree: Tree) -> Code:
    name, raw = tree[1], tree[2]
    if name in CLOSURES:
        function = CLOSURES[name]
        if not raw:
            raise ExprError(f"not enough arguments to call {name}")
        collection = _compile(raw[0])
        body = _compile(raw[1][1]) if len(raw) > 1 else None
        rest = [_compile(item) for item in raw[2:]]

        def closure(frame: Frame) -> Value:
            items = collection(frame)
            return function(items, _predicate(body, frame), [item(frame) for item in rest])

        return closure
    arguments = [_compile(item) for item in raw]
    plain = library.FUNCTIONS[name]

    def run(frame: Frame) -> Value:
        own = frame.get(name)
        return (own if callable(own) else plain)(*[argument(frame) for argument in arguments])

    return run


def _predicate(body: Code | None, frame: Frame) -> Callable[..., Value] | None:
    if body is None:
        return None
    inner = dict(frame)

    def apply(item: Value, index: int = 0, accumulator: Value = None) -> Value:
        inner["#"] = item
        inner["#index"] = index
        inner["#acc"] = accumulator
        return body(inner)

    return apply


def _pointer(tree: Tree) -> Code:
    name = "#" + tree[1]
    if name not in ("#", "#index", "#acc"):
        raise ExprError(f"unknown pointer {name}")
    return lambda frame: frame[name]


def _unary(tree: Tree) -> Code:
    operator, operand = tree[1], _compile(tree[2])
    if operator == "!":
        return lambda frame: not truth(operand(frame))

    def run(frame: Frame) -> Value:
        value = operand(frame)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ExprError(f"invalid operation: {operator} {library.type_name(value)}")
        return -value if operator == "-" else value

    return run


def _binary(tree: Tree) -> Code:
    operator, left, right = tree[1], _compile(tree[2]), _compile(tree[3])
    if operator == "&&":
        return lambda frame: truth(left(frame)) and truth(right(frame))
    if operator == "||":
        return lambda frame: truth(left(frame)) or truth(right(frame))
    if operator == "??":

        def coalesce(frame: Frame) -> Value:
            try:
                value = left(frame)
            except _Nil:
                value = None
            return right(frame) if value is None else value

        return coalesce
    if operator == "==":
        return lambda frame: equal(left(frame), right(frame))
    if operator == "!=":
        return lambda frame: not equal(left(frame), right(frame))
    function = BINARY[operator]
    return lambda frame: function(left(frame), right(frame))


def _cond(tree: Tree) -> Code:
    test, yes, no = _compile(tree[1]), _compile(tree[2]), _compile(tree[3])
    return lambda frame: yes(frame) if truth(test(frame)) else no(frame)


def _array(tree: Tree) -> Code:
    items = [_compile(item) for item in tree[1]]
    return lambda frame: [item(frame) for item in items]


def _map(tree: Tree) -> Code:
    pairs = [(_compile(key), _compile(value)) for key, value in tree[1]]
    return lambda frame: {key(frame): value(frame) for key, value in pairs}


def _let(tree: Tree) -> Code:
    name, value, body = tree[1], _compile(tree[2]), _compile(tree[3])
    return lambda frame: body({**frame, name: value(frame)})


def _chain(tree: Tree) -> Code:
    inner = _compile(tree[1])

    def run(frame: Frame) -> Value:
        try:
            return inner(frame)
        except _Nil:
            return None

    return run


def _seq(tree: Tree) -> Code:
    items: Sequence[Code] = [_compile(item) for item in tree[1]]

    def run(frame: Frame) -> Value:
        result: Value = None
        for item in items:
            result = item(frame)
        return result

    return run


_COMPILERS: dict[str, Callable[[Tree], Code]] = {
    "const": _const, "name": _name, "member": _member, "slice": _slice, "call": _call, "builtin": _builtin,
    "pointer": _pointer, "unary": _unary, "binary": _binary, "cond": _cond, "array": _array, "map": _map,
    "let": _let, "chain": _chain, "seq": _seq,
}  # fmt: skip
