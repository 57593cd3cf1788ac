"""expr-lang builtins that take a predicate: ``filter(xs, # > 1)``, ``reduce``, ``groupBy`` and their kin."""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from tiphys.expr import budget
from tiphys.expr.gojson import AnyMap
from tiphys.expr.gotext import to_bytes
from tiphys.expr.lexer import ExprError
from tiphys.expr.operators import truth

Value = Any
Predicate = Callable[..., Value]

__all__ = ["CLOSURES", "compare"]


def _items(value: Value, name: str) -> list[Value]:
    if isinstance(value, (list, tuple)):
        budget.turn(len(value))
        return list(value)
    if isinstance(value, str):
        budget.turn(len(value))
        return list(to_bytes(value))
    raise ExprError(f"builtin {name} takes only array (got {type(value).__name__})")


def _test(predicate: Predicate | None) -> Predicate:
    if predicate is None:
        raise ExprError("predicate is missing")
    return predicate


def compare(left: Value, right: Value) -> int:
    """Order two values of one kind."""
    try:
        if isinstance(left, bool) or isinstance(right, bool):
            raise TypeError
        return -1 if left < right else 1 if left > right else 0
    except TypeError:
        names = {str: "string", int: "int", float: "float64", bool: "bool"}
        kinds = [names.get(type(value), type(value).__name__) for value in (left, right)]
        raise ExprError(f"invalid operation: {kinds[0]} < {kinds[1]}") from None


def _all(items: Value, predicate: Predicate | None, rest: list[Value]) -> bool:
    test = _test(predicate)
    return all(truth(test(item, index)) for index, item in enumerate(_items(items, "all")))


def _none(items: Value, predicate: Predicate | None, rest: list[Value]) -> bool:
    return not _any(items, predicate, rest)


def _any(items: Value, predicate: Predicate | None, rest: list[Value]) -> bool:
    test = _test(predicate)
    return any(truth(test(item, index)) for index, item in enumerate(_items(items, "any")))


def _count(items: Value, predicate: Predicate | None, rest: list[Value]) -> int:
    test = predicate or (lambda item, index=0: item)
    return sum(1 for index, item in enumerate(_items(items, "count")) if truth(test(item, index)))


def _one(items: Value, predicate: Predicate | None, rest: list[Value]) -> bool:
    return _count(items, _test(predicate), rest) == 1


def _filter(items: Value, predicate: Predicate | None, rest: list[Value]) -> list[Value]:
    test = _test(predicate)
    found = [item for index, item in enumerate(_items(items, "filter")) if truth(test(item, index))]
    budget.grow(len(found))
    return found


def _map(items: Value, predicate: Predicate | None, rest: list[Value]) -> list[Value]:
    apply = _test(predicate)
    found = [apply(item, index) for index, item in enumerate(_items(items, "map"))]
    budget.grow(len(found))
    return found


def _position(items: list[Value], test: Predicate, backwards: bool) -> int | None:
    order = range(len(items) - 1, -1, -1) if backwards else range(len(items))
    return next((index for index in order if truth(test(items[index], index))), None)


def _finder(backwards: bool, as_index: bool) -> Callable[[Value, Predicate | None, list[Value]], Value]:
    def run(items: Value, predicate: Predicate | None, rest: list[Value]) -> Value:
        values = _items(items, "find")
        index = _position(values, _test(predicate), backwards)
        return index if as_index or index is None else values[index]

    return run


def _sum(items: Value, predicate: Predicate | None, rest: list[Value]) -> Value:
    apply = predicate or (lambda item, index=0: item)
    total: Value = 0
    for index, item in enumerate(_items(items, "sum")):
        value = apply(item, index)
        if isinstance(value, (str, bool, list, dict)) or value is None:
            raise ExprError(
                f"invalid operation: {'string' if isinstance(value, str) else type(value).__name__} + int"
            )
        total += value
    return total


def _group_by(items: Value, predicate: Predicate | None, rest: list[Value]) -> dict[Value, list[Value]]:
    apply = _test(predicate)
    groups: dict[Value, list[Value]] = AnyMap((), "[]interface {}")
    for index, item in enumerate(_items(items, "groupBy")):
        groups.setdefault(apply(item, index), []).append(item)
    return groups


def _sort_by(items: Value, predicate: Predicate | None, rest: list[Value]) -> list[Value]:
    apply = _test(predicate)
    values = _items(items, "sortBy")
    keyed: list[tuple[Value, Value]] = [(apply(item, index), item) for index, item in enumerate(values)]
    by_key: Callable[[Value, Value], int] = lambda a, b: compare(a[0], b[0])  # noqa: E731
    keyed.sort(key=cmp_to_key(by_key), reverse=bool(rest) and rest[0] == "desc")
    return [item for _, item in keyed]


def _reduce(items: Value, predicate: Predicate | None, rest: list[Value]) -> Value:
    apply = _test(predicate)
    values = _items(items, "reduce")
    if rest:
        accumulator, start = rest[0], 0
    elif values:
        accumulator, start = values[0], 1
    else:
        raise ExprError("reduce of empty array with no initial value")
    for index in range(start, len(values)):
        accumulator = apply(values[index], index, accumulator)
    return accumulator


CLOSURES: dict[str, Callable[[Value, Predicate | None, list[Value]], Value]] = {
    "all": _all, "none": _none, "any": _any, "one": _one, "filter": _filter, "map": _map, "count": _count,
    "find": _finder(False, False), "findIndex": _finder(False, True), "findLast": _finder(True, False),
    "findLastIndex": _finder(True, True), "sum": _sum, "groupBy": _group_by, "sortBy": _sort_by, "reduce": _reduce,
}  # fmt: skip
