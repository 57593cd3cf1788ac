"""expr-lang's plain builtin functions, those that every program of it has (Argo's own: argo_functions.py)."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cmp_to_key
from typing import Any

from tiphys.expr import budget, gojson
from tiphys.expr.closures import CLOSURES, compare
from tiphys.expr.durations import parse_go
from tiphys.expr.gofmt import v
from tiphys.expr.gojson_scan import syntax_error
from tiphys.expr.gotext import SPACES, atoi, find, from_bytes, lower, parse_float, to_bytes, upper
from tiphys.expr.lexer import ExprError
from tiphys.expr.moment import PRESENT
from tiphys.expr.moments import Named, go_type, nanoseconds
from tiphys.expr.operators import equal, map_key

Value = Any

__all__ = ["FUNCTIONS", "NAMES", "from_json", "to_float", "to_int", "type_name"]


def type_name(value: Value) -> str:
    """Return the word of expr-lang's ``type()``."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Mapping):
        return "map"
    return {int: "int", float: "float", str: "string", list: "array", tuple: "array"}.get(
        type(value), go_type(value) or type(value).__name__
    )


def to_int(value: Value) -> int:
    if isinstance(value, str):
        number = atoi(value)
        if number is None:
            raise ExprError(f"invalid operation: int({value})")
        return number
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, Named):
        return value.number
    if isinstance(value, timedelta):
        return nanoseconds(value)
    raise ExprError(f"invalid operation: int({type_name(value)})")


def to_float(value: Value) -> float:
    if isinstance(value, str):
        number = parse_float(value)
        if number is None:
            raise ExprError(f"invalid operation: float({value})")
        return number
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise ExprError(f"invalid operation: float({type_name(value)})")


def _to_json_indented(value: Value) -> str:
    return gojson.marshal_indent(value)


def from_json(value: Value) -> Value:
    """``fromJSON``. Raises ExprError with Go's words."""
    if not isinstance(value, str):
        raise ExprError(f"interface conversion: interface {{}} is {type_name(value)}, not string")
    problem = syntax_error(value)
    if problem:
        raise ExprError(problem)
    return gojson.unmarshal(value, floats=True)


def _length(value: Value) -> int:
    if isinstance(value, (str, list, tuple, Mapping)):
        return len(value)
    raise ExprError(f"invalid argument for len (type {type_name(value)})")


def _extreme(pick: Callable[[Value, Value], bool]) -> Callable[..., Value]:
    def run(*values: Value) -> Value:
        if not values:
            raise ExprError("not enough arguments to call min/max")
        flat = _flatten(list(values))
        if not flat:
            return None
        best = flat[0]
        for item in flat[1:]:
            if pick(item, best):
                best = item
        return best

    return run


def _flat_numbers(values: tuple[Value, ...]) -> list[float]:
    return _flatten(list(values))


def _mean(*values: Value) -> Value:
    numbers = _flat_numbers(values)
    return sum(numbers) / len(numbers) if numbers else 0


def _median(*values: Value) -> Value:
    numbers = sorted(_flat_numbers(values))
    if not numbers:
        return 0
    middle = len(numbers) // 2
    return float(numbers[middle]) if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if separator == "":
        parts = list(text)
        return (
            parts if limit < 0 or limit >= len(parts) else [*parts[: limit - 1], "".join(parts[limit - 1 :])]
        )
    return text.split(separator, limit - 1) if limit > 0 else text.split(separator)


def _split_after(text: str, separator: str, limit: int = -1) -> list[str]:
    parts = _split(text, separator, limit)
    return [part + separator for part in parts[:-1]] + parts[-1:]


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    return budget.replaced(text, old, new, count)


def _repeat(text: str, count: int | float) -> str:
    count = int(count)
    if count < 0:
        raise ExprError(f"invalid argument for repeat (expected positive integer, got {count})")
    budget.grow(len(text) * count)
    return text * count


def _join(items: Value, separator: str = "") -> str:
    if not isinstance(items, (list, tuple)):
        raise ExprError(f"invalid argument for join (type {type_name(items)})")
    for item in items:
        if not isinstance(item, str):
            raise ExprError(f"interface conversion: interface {{}} is {type_name(item)}, not string")
    return budget.joined(separator, items)


def _end(which: str, index: int) -> Callable[[Value], Value]:
    def run(items: Value) -> Value:
        if not isinstance(items, (list, tuple, str)):
            raise ExprError(f"cannot get {which} element from {type_name(items)}")
        return _get(items, index)

    return run


def _get(value: Value, key: Value) -> Value:
    if isinstance(value, Mapping):
        return value.get(map_key(value, key))
    if isinstance(value, str):
        value = to_bytes(value)
    if not isinstance(value, (list, tuple, bytes)):
        return None
    if not isinstance(key, int) or isinstance(key, bool):
        raise ExprError(f"non-integer slice index {type_name(key)}")
    return value[key] if -len(value) <= key < len(value) else None


def _take(items: Value, count: int) -> Value:
    if not isinstance(items, (list, tuple)):
        raise ExprError(f"cannot take from {type_name(items)}")
    if count < 0:
        raise ExprError("reflect.Value.Slice: slice index out of bounds")
    return items[:count]


def _sort(items: Value, order: str = "asc") -> list[Value] | None:
    if not isinstance(items, (list, tuple)):
        return None
    if order not in ("asc", "desc"):
        raise ExprError(f"invalid order {order}, expected asc or desc")
    return sorted(items, key=cmp_to_key(compare), reverse=order == "desc")


def _array(what: str, items: Value) -> list[Value]:
    if not isinstance(items, (list, tuple)):
        raise ExprError(f"cannot {what} {type_name(items)}")
    return list(items)


def _flatten(items: Value) -> list[Value]:
    flat: list[Value] = []
    for item in _array("flatten", items):
        flat.extend(_flatten(item) if isinstance(item, list) else [item])
    return flat


def _flattened(items: Value) -> list[Value]:
    flat = _flatten(items)
    budget.grow(len(flat))
    return flat


def _uniq(items: Value) -> list[Value]:
    seen: list[Value] = []
    for item in _array("uniq", items):
        if not any(equal(item, other) for other in seen):
            seen.append(item)
    return seen


def _round(value: Value) -> float:
    return math.copysign(math.floor(abs(value) + 0.5), value)


def _date(text: str, layout: str = "", zone: str = "") -> datetime:
    from tiphys.expr.gotime import location, parse_layout

    try:
        moment = parse_layout(text, layout)
    except ExprError:
        raise ExprError(f"invalid date {text}") from None
    return moment.replace(tzinfo=location(zone)) if zone else moment


def _shift_left(value: int, count: int) -> int:
    """On Go's int64: bits that leave it are lost."""
    return ((value << min(count, 64)) + 2**63) % 2**64 - 2**63


def _timezone(name: str) -> tzinfo:
    from tiphys.expr.gotime import location

    return location(name)


def _from_base64(text: str) -> str:
    try:
        return from_bytes(base64.b64decode(text, validate=True))
    except ValueError:
        good = len(re.match(r"(?:[A-Za-z0-9+/]{4})*[A-Za-z0-9+/]*", text).group())  # type: ignore[union-attr]
        raise ExprError(f"illegal base64 data at input byte {good}") from None


def _now() -> datetime:
    return datetime.fromtimestamp(PRESENT.get(), UTC)


def _trim(text: str, cutset: str | None = None) -> str:
    return text.strip(SPACES if cutset is None else cutset)


def _members(what: str, of: Callable[[Mapping[Value, Value]], list[Value]]) -> Callable[[Value], list[Value]]:
    def run(value: Value) -> list[Value]:
        if not isinstance(value, Mapping):
            raise ExprError(f"cannot get {what} from {type_name(value)}")
        return of(value)

    return run


def _concat(*lists: Value) -> list[Value]:
    if not lists:
        raise ExprError("invalid number of arguments (expected at least 1, got 0)")
    found = [item for part in lists for item in _array("concat", part)]
    budget.grow(len(found))
    return found


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "len": _length, "type": type_name, "abs": abs, "ceil": lambda x: float(math.ceil(x)),
    "floor": lambda x: float(math.floor(x)), "round": _round, "int": to_int, "float": to_float, "string": v,
    "trim": _trim, "trimPrefix": lambda s, p=" ": s.removeprefix(p), "trimSuffix": lambda s, p=" ": s.removesuffix(p),
    "upper": upper, "lower": lower, "split": _split, "splitAfter": _split_after,
    "replace": _replace, "repeat": _repeat, "join": _join, "indexOf": find,
    "lastIndexOf": lambda s, p: find(s, p, last=True), "hasPrefix": lambda s, p: s.startswith(p),
    "hasSuffix": lambda s, p: s.endswith(p), "max": _extreme(lambda a, b: a > b), "min": _extreme(lambda a, b: a < b),
    "mean": _mean, "median": _median, "toJSON": _to_json_indented, "fromJSON": from_json,
    "toBase64": lambda s: base64.b64encode(to_bytes(s)).decode(),
    "fromBase64": _from_base64,
    "duration": lambda s: timedelta(seconds=parse_go(s)), "date": _date, "now": _now,
    "timezone": _timezone,
    "first": _end("first", 0), "last": _end("last", -1), "get": _get, "take": _take,
    "keys": _members("keys", list), "values": _members("values", lambda m: list(m.values())),
    "toPairs": _members("pairs", lambda m: [[key, value] for key, value in m.items()]),
    "fromPairs": lambda xs: gojson.AnyMap(xs, "interface {}"), "reverse": lambda xs: _array("reverse", xs)[::-1],
    "sort": _sort, "concat": _concat, "flatten": _flattened, "uniq": _uniq,
    "bitand": lambda a, b: a & b, "bitor": lambda a, b: a | b, "bitxor": lambda a, b: a ^ b,
    "bitnand": lambda a, b: a & ~b, "bitnot": lambda a: ~a, "bitshl": _shift_left,
    "bitshr": lambda a, b: a >> b, "bitushr": lambda a, b: (a % 2**64) >> b,
}  # fmt: skip
NAMES = frozenset(FUNCTIONS) | frozenset(CLOSURES)
