"""Binary operators of expr-lang on plain values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from tiphys.expr import budget
from tiphys.expr.gotext import joined
from tiphys.expr.lexer import ExprError
from tiphys.expr.regexp import regexp

Value = Any

__all__ = ["BINARY", "equal", "go_kind", "map_key", "truth"]


def _numeric(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def go_kind(value: Value) -> str:
    """Return the name of a value's Go type."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "bool"
    return {
        int: "int",
        float: "float64",
        str: "string",
        list: "[]interface {}",
        dict: "map[string]interface {}",
    }.get(type(value), type(value).__name__)


def _wrong(operator: str, left: Value, right: Value) -> ExprError:
    return ExprError(f"invalid operation: {go_kind(left)} {operator} {go_kind(right)}")


def truth(value: Value) -> bool:
    """Return a bool that must be one."""
    if isinstance(value, bool):
        return value
    raise ExprError(f"interface conversion: interface {{}} is {go_kind(value)}, not bool")


def equal(left: Value, right: Value) -> bool:
    """Deep equality without Python's ``1 == True``."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(equal(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


def map_key(mapping: Mapping[Value, Value], key: Value) -> Value:
    """Return ``key`` when it can be one: the keys of Go's maps have a type, all but those of fromPairs a text."""
    if isinstance(key, str) or type(mapping).__name__ == "AnyMap":
        return key
    raise ExprError(f"reflect.Value.MapIndex: value of type {go_kind(key)} is not assignable to type string")


def _add(left: Value, right: Value) -> Value:
    if _numeric(left) and _numeric(right):
        return left + right
    if isinstance(left, str) and isinstance(right, str):
        budget.text(len(left) + len(right))
        return joined(left, right)
    if isinstance(left, (datetime, timedelta)) and isinstance(right, (datetime, timedelta)):
        return left + right  # type: ignore[operator]
    raise _wrong("+", left, right)


def _subtract(left: Value, right: Value) -> Value:
    if (_numeric(left) and _numeric(right)) or isinstance(left, (datetime, timedelta)):
        return left - right
    raise _wrong("-", left, right)


def _multiply(left: Value, right: Value) -> Value:
    if _numeric(left) and _numeric(right):
        return left * right
    if (isinstance(left, timedelta) and _numeric(right)) or (_numeric(left) and isinstance(right, timedelta)):
        return left * right
    raise _wrong("*", left, right)


def _divide(left: Value, right: Value) -> Value:
    if not (_numeric(left) and _numeric(right)):
        raise _wrong("/", left, right)
    if right == 0:
        return math.nan if left == 0 else math.copysign(math.inf, left)
    return left / right


def _modulo(left: Value, right: Value) -> Value:
    if not (isinstance(left, int) and isinstance(right, int)) or isinstance(left, bool):
        raise _wrong("%", left, right)
    if right == 0:
        raise ExprError("integer divide by zero")
    return (
        int(math.fmod(left, right))
        if abs(left) < 2**53
        else abs(left) % abs(right) * (1 if left >= 0 else -1)
    )


def _power(left: Value, right: Value) -> Value:
    if not (_numeric(left) and _numeric(right)):
        raise _wrong("**", left, right)
    return math.pow(left, right)


def _range(left: Value, right: Value) -> Value:
    if not (_numeric(left) and _numeric(right)):
        raise _wrong("..", left, right)
    left, right = int(left), int(right)
    budget.grow(right - left + 1)
    return list(range(left, right + 1))


def _compare(operator: str, test: Callable[[Value, Value], bool]) -> Callable[[Value, Value], bool]:
    def run(left: Value, right: Value) -> bool:
        if (_numeric(left) and _numeric(right)) or (
            type(left) is type(right) and isinstance(left, (str, datetime, timedelta))
        ):
            return test(left, right)
        raise _wrong(operator, left, right)

    return run


def _in(left: Value, right: Value) -> bool:
    if right is None:
        return False
    if isinstance(right, Mapping):
        return map_key(right, left) in right
    if isinstance(right, (list, tuple)):
        return any(equal(left, item) for item in right)
    raise ExprError(f'operator "in" not defined on {go_kind(right)}')


def _strings(operator: str, test: Callable[[str, str], bool]) -> Callable[[Value, Value], bool]:
    def run(left: Value, right: Value) -> bool:
        if left is None or right is None:
            return False
        if not (isinstance(left, str) and isinstance(right, str)):
            raise _wrong(operator, left, right)
        return test(left, right)

    return run


BINARY: dict[str, Callable[[Value, Value], Value]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "%": _modulo,
    "**": _power,
    "..": _range,
    "<": _compare("<", lambda a, b: a < b),
    ">": _compare(">", lambda a, b: a > b),
    "<=": _compare("<=", lambda a, b: a <= b),
    ">=": _compare(">=", lambda a, b: a >= b),
    "in": _in,
    "matches": _strings("matches", lambda a, b: regexp(b).search(a) is not None),
    "contains": _strings("contains", lambda a, b: b in a),
    "startsWith": _strings("startsWith", lambda a, b: a.startswith(b)),
    "endsWith": _strings("endsWith", lambda a, b: a.endswith(b)),
}
