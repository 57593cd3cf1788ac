"""expr-lang programs: a tree compiled once to Python closures and run over an environment of plain values.

Go's kinds map to Python's: int, float64 -> float, string, bool, nil -> None, slices -> list, maps -> dict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tiphys.expr import budget
from tiphys.expr import builtins as library
from tiphys.expr.check import check
from tiphys.expr.closures import CLOSURES
from tiphys.expr.free_names import FreeNames
from tiphys.expr.gofmt import v
from tiphys.expr.gotext import cut, size, to_bytes, visible
from tiphys.expr.lexer import ExprError
from tiphys.expr.moments import member
from tiphys.expr.operators import BINARY, equal, map_key, truth
from tiphys.expr.parser import Tree, parse

Value = Any
Frame = dict[str, Value]
Code = Callable[[Frame], Value]

__all__ = ["ExprError", "Program", "compile_expression", "evaluate", "evaluate_bool"]


class _Nil(Exception):
    """``?.`` met nil: the whole chain is nil."""


class Program:
    """A compiled expression.

    Attributes
    ----------
    roots:
        For every free name the set of first members it is used with, or None when that cannot be told statically.
    paths:
        The dotted names that are read from free names, each as far as it is written out.
    tree:
        What the parser made of it.
    """

    __slots__ = ("_code", "_kinds", "_places", "paths", "roots", "source", "tree")

    def __init__(self, source: str, tree: Tree) -> None:
        self.source = source
        self.tree = tree
        free = FreeNames(tree)
        self.roots = free.roots
        self.paths = free.paths
        self._places = free.places
        self._kinds: dict[tuple[str, ...], ExprError | None] = {}
        self._code = _compile(tree)

    def run(self, environment: Mapping[str, Value]) -> Value:
        """Evaluate.

        Raises
        ------
        ExprError
            A name that the environment lacks, a wrong type, anything that expr-lang would refuse.
        """
        self.check(environment)
        frame = dict(environment)
        frame["\0env"] = environment
        budget.begin()
        try:
            value = self._code(frame)
            return visible(value) if isinstance(value, str) else value
        except ExprError as error:
            raise error.located(self.source) from None
        except _Nil:
            return None
        except RecursionError as error:
            raise ExprError("expression is nested too deeply") from error
        except MemoryError as error:
            raise ExprError("memory budget exceeded") from error
        except (
            TypeError,
            ValueError,
            KeyError,
            IndexError,
            AttributeError,
            OSError,  # of a moment that this machine's clock has not
            OverflowError,
            ArithmeticError,
            re.error,
        ) as error:
            raise ExprError(str(error) or type(error).__name__) from error

    def check(self, environment: Mapping[str, Value]) -> None:
        """Refuse what expr-lang's compiler refuses: unknown names, wrong kinds of literals and of plain names.

        Raises
        ------
        ExprError
            It could not be compiled for this environment.
        """
        for root, position in self._places.items():
            if root not in environment:
                raise ExprError(f"unknown name {root}", position).located(self.source)
        texts = tuple(
            path[0] for path in self.paths if len(path) == 1 and isinstance(environment.get(path[0]), str)
        )
        if texts not in self._kinds:
            self._kinds[texts] = None
            try:
                check(self.tree, dict.fromkeys(texts, "string"))
            except ExprError as error:
                self._kinds[texts] = error.located(self.source)
        problem = self._kinds[texts]
        if problem is not None:
            raise problem


@lru_cache(maxsize=8192)
def compile_expression(source: str) -> Program:
    """Parse and compile ``source``; kept for later calls with the same text."""
    try:
        return Program(source, parse(source, library.NAMES))
    except ExprError as error:
        raise error.located(source) from None
    except RecursionError:
        raise ExprError("expression is nested too deeply") from None


def evaluate(source: str, environment: Mapping[str, Value]) -> Value:
    """Evaluate ``source`` over ``environment``."""
    return compile_expression(source).run(environment)


def evaluate_bool(program: Program, environment: Mapping[str, Value]) -> bool:
    """Evaluate what must be true or false, with Argo's words for what goes wrong.

    Raises
    ------
    ExprError
        It cannot be compiled or evaluated, or is no boolean.
    """
    program.check(environment)
    try:
        result = program.run(environment)
    except ExprError as error:
        raise ExprError(f"unable to evaluate expression '{program.source}': {error}") from None
    if not isinstance(result, bool):
        raise ExprError(f"unable to cast expression result '{v(result)}' to bool")
    return result


def _at(position: int, code: Code) -> Code:
    """Return ``code`` with its errors placed at ``position``, unless something inside it knew better."""

    def run(frame: Frame) -> Value:
        try:
            return code(frame)
        except ExprError as error:
            if error.position is None:
                error.position = position
            raise
        except (
            TypeError,
            ValueError,
            KeyError,
            IndexError,
            AttributeError,
            OSError,  # of a moment that this machine's clock has not
            OverflowError,
            ArithmeticError,
        ) as error:
            raise ExprError(_in_gos_words(error), position) from error

    return run


_GO_KINDS = {
    "int": "int", "float": "float64", "bool": "bool", "str": "string", "NoneType": "<nil>", "list": "[]interface {}",
    "dict": "map[string]interface {}",
}  # fmt: skip


def _in_gos_words(error: Exception) -> str:
    """Return what Go says when a function is called with the wrong kind or number of arguments."""
    text = str(error) or type(error).__name__
    found = re.match(r"'(\w+)' object has no attribute", text)
    if found:
        return f"reflect: Call using {_GO_KINDS.get(found.group(1), found.group(1))} as type string"
    found = re.match(r".* missing (\d+) required positional argument", text)
    if found:
        return f"invalid number of arguments: expected {found.group(1)}, got 0"
    found = re.match(r".* takes (\d+) positional arguments? but (\d+) (?:was|were) given", text)
    if found:
        return f"invalid number of arguments: expected {found.group(1)}, got {found.group(2)}"
    return text


def _compile(tree: Tree) -> Code:
    code = _COMPILERS[tree[0]](tree)
    return _at(tree[-1], code) if tree[0] in _CAN_FAIL else code


_CAN_FAIL = frozenset(["slice", "call", "builtin", "unary", "binary", "cond"])


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
        return value.get(map_key(value, key))
    if value is None:
        raise ExprError(f"cannot fetch {key} from <nil>")
    if isinstance(value, (list, tuple, str)):
        if isinstance(key, float):
            key = int(key)
        if isinstance(value, str) and isinstance(key, str):
            raise ExprError("invalid operation: int(string)")
        if not isinstance(key, int) or isinstance(key, bool):
            raise ExprError(f"cannot fetch {key} from {library.type_name(value)}")
        items = to_bytes(value) if isinstance(value, str) else value
        if not -len(items) <= key < len(items):
            raise ExprError(f"index out of range: {key} (array length is {len(items)})")
        return items[key]
    method = member(value, key)
    if method is not None:
        return method
    raise ExprError(f"cannot fetch {key} from {library.type_name(value)}")


def _member(tree: Tree) -> Code:
    target, key, optional, position = _compile(tree[1]), _compile(tree[2]), tree[3], tree[-1]

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
        length = size(value) if isinstance(value, str) else len(value)
        low = int(start(frame)) if start else 0
        high = int(end(frame)) if end else length
        low = min(max(low + length, 0) if low < 0 else low, length)
        high = min(max(high + length, 0) if high < 0 else high, length)
        if isinstance(value, str):
            return cut(value, low, max(low, high))
        return value[low : max(low, high)]

    return run


def _call(tree: Tree) -> Code:
    function = _compile(tree[1])
    arguments = [_compile(item) for item in tree[2]]

    def run(frame: Frame) -> Value:
        target = function(frame)
        if not callable(target):
            raise ExprError(f"{library.type_name(target)} is not callable")
        given = [argument(frame) for argument in arguments]
        try:
            return target(*given)
        except (TypeError, AttributeError):
            if None not in given:
                raise
            return target(
                *["" if value is None else value for value in given]
            )  # Go passes nil as the zero value

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
        return lambda frame: right(frame) if truth(left(frame)) else False  # Go looks at the left one only
    if operator == "||":
        return lambda frame: True if truth(left(frame)) else right(frame)
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
    size = 0 if all(item[0] == "const" for item in tree[1]) else len(items)  # Go makes those once

    def run(frame: Frame) -> Value:
        made = [item(frame) for item in items]
        budget.grow(size)
        return made

    return run


def _map(tree: Tree) -> Code:
    pairs = [(_compile(key), _compile(value)) for key, value in tree[1]]

    def run(frame: Frame) -> Value:
        made = {key(frame): value(frame) for key, value in pairs}
        budget.grow(len(pairs))
        return made

    return run


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
