"""sprig's lists, dictionaries, kinds, JSON and dates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from tiphys.expr import gojson
from tiphys.expr.durations import format_go, parse_go
from tiphys.expr.gofmt import v
from tiphys.expr.gojson_scan import syntax_error
from tiphys.expr.lexer import ExprError
from tiphys.expr.moment import PRESENT

Value = Any

__all__ = ["DATA", "empty", "texts"]


def empty(value: Value) -> bool:
    """Return whether ``value`` is its kind's zero value."""
    return value is None or value is False or value == 0 or (hasattr(value, "__len__") and len(value) == 0)


def texts(items: Value) -> list[str]:
    """A list as texts, without nils; anything else is a list of itself, and nil an empty one."""
    if items is None:
        return []
    return [v(item) for item in items if item is not None] if isinstance(items, (list, tuple)) else [v(items)]


def _listed(what: str, value: Value) -> list[Value]:
    if not isinstance(value, (list, tuple)):
        raise ExprError(f"Cannot find {what} on type {_kind(value)}")
    return list(value)


def _same(left: Value, right: Value) -> bool:
    """Go's reflect.DeepEqual: an int is no float."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(_same, left, right))
    return type(left) is type(right) and bool(left == right)


def _kind(value: Value) -> str:
    if value is None:
        return "invalid"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Mapping):
        return "map"
    return {int: "int", float: "float64", str: "string", list: "slice"}.get(type(value), "struct")


def _type(value: Value) -> str:
    return {"slice": "[]interface {}", "map": "map[string]interface {}", "invalid": "<nil>"}.get(
        _kind(value), _kind(value)
    )


def _dict(*pairs: Value) -> dict[str, Value]:
    result: dict[str, Value] = {}
    for index in range(0, len(pairs), 2):
        result[v(pairs[index])] = pairs[index + 1] if index + 1 < len(pairs) else ""
    return result


def _set(target: dict[str, Value], key: str, value: Value) -> dict[str, Value]:
    target[key] = value
    return target


def _unset(target: dict[str, Value], key: str) -> dict[str, Value]:
    target.pop(key, None)
    return target


def _merge(target: dict[str, Value], *others: Mapping[str, Value]) -> dict[str, Value]:
    for other in others:
        for key, value in other.items():
            if isinstance(value, dict) and isinstance(target.get(key), dict):
                _merge(target[key], value)
            elif key not in target or empty(target[key]):
                target[key] = value
    return target


def _merge_overwrite(target: dict[str, Value], *others: Mapping[str, Value]) -> dict[str, Value]:
    for other in others:
        for key, value in other.items():
            if isinstance(value, dict) and isinstance(target.get(key), dict):
                _merge_overwrite(target[key], value)
            else:
                target[key] = value
    return target


def _dig(*arguments: Value) -> Value:
    if len(arguments) < 3:
        raise ExprError("dig needs at least three arguments")
    *path, fallback, tree = arguments
    for key in path:
        if not isinstance(tree, Mapping):
            raise ExprError(
                f"interface conversion: interface {{}} is {_type(tree)}, not map[string]interface {{}}"
            )
        if key not in tree:
            return fallback
        tree = tree[key]
    return tree


def _uniq(items: list[Value]) -> list[Value]:
    result: list[Value] = []
    for item in items:
        if not any(_same(item, other) for other in result):
            result.append(item)
    return result


def _slice(items: Value, *bounds: int) -> list[Value] | None:
    listed = _listed("slice", items)
    if not listed:
        return None
    begin, end, *_ = (*bounds, *(0, len(listed))[len(bounds) :])
    if not 0 <= begin <= end <= len(listed):
        raise ExprError("reflect.Value.Slice: slice index out of bounds")
    return listed[begin:end]


def _chunk(size: int, items: Value) -> list[list[Value]]:
    if not isinstance(items, (list, tuple)):
        raise ExprError(f"Cannot chunk type {_kind(items)}")
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def _has(needle: Value, items: Value) -> bool:
    return items is not None and any(_same(needle, item) for item in _listed("has", items))


def _sort_alpha(items: Value) -> list[str]:
    return sorted(texts(items))


def _moment(value: Value) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC)
    # sprig takes anything else, such as the text of a time, for "now"
    return datetime.fromtimestamp(PRESENT.get(), UTC)


def _date(layout: str, value: Value, zone: str = "UTC") -> str:
    from tiphys.expr.gotime import format_layout, location

    try:
        where = location(zone)
    except ExprError:  # sprig takes what it does not know for UTC
        where = UTC
    return format_layout(_moment(value).astimezone(where), layout)


def _must_to_date(layout: str, text: str) -> datetime:
    from tiphys.expr.gotime import parse_layout

    return parse_layout(text, layout)


def _to_date(layout: str, text: str) -> datetime:
    try:
        return _must_to_date(layout, text)
    except ExprError:
        return datetime(1, 1, 1, tzinfo=UTC)


def _date_modify(change: str, moment: Value) -> Value:
    try:
        return _must_date_modify(change, moment)
    except ValueError:
        return moment


def _must_date_modify(change: str, moment: Value) -> datetime:
    from datetime import timedelta

    return _moment(moment) + timedelta(seconds=parse_go(change))


def _duration(seconds: Value) -> str:
    """Return text or a 64 bit number as a duration; sprig takes any other kind, such as a plain int, for 0."""
    if not isinstance(seconds, str):
        return "0s"
    try:
        return format_go(int(seconds))
    except ValueError:
        return "0s"


def _duration_round(value: Value) -> str:
    """Return the largest unit of a duration: ``2h``, ``3mo``."""
    try:
        left = abs(parse_go(value)) if isinstance(value, str) else 0.0
    except ValueError:
        left = 0.0
    for size, unit in (
        (365 * 86400, "y"), (30 * 86400, "mo"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"),
    ):  # fmt: skip
        if left > size:
            return f"{int(left // size)}{unit}"
    return "0s"


def _raw_json(value: Value) -> str:
    text = gojson.marshal(value)
    for escaped, plain in (("\\u003c", "<"), ("\\u003e", ">"), ("\\u0026", "&")):
        text = text.replace(escaped, plain)
    return text


def _must_from_json(text: str) -> Value:
    problem = syntax_error(text)
    if problem:
        raise ExprError(problem)
    return gojson.unmarshal(text, floats=True)


def _pretty(value: Value) -> str:
    return gojson.marshal_indent(value)


DATA: dict[str, Callable[..., Value]] = {
    "list": lambda *xs: list(xs),
    "tuple": lambda *xs: list(xs),
    "first": lambda xs: next(iter(_listed("first", xs)), None),
    "last": lambda xs: next(reversed(_listed("last", xs)), None),
    "rest": lambda xs: _listed("rest", xs)[1:] if xs else None,
    "initial": lambda xs: _listed("initial", xs)[:-1] if xs else None,
    "append": lambda xs, x: [*xs, x],
    "push": lambda xs, x: [*xs, x],
    "prepend": lambda xs, x: [x, *xs],
    "concat": lambda *lists: [x for xs in lists for x in _listed("concat", xs)] if lists else None,
    "reverse": lambda xs: _listed("reverse", xs)[::-1],
    "uniq": _uniq,
    "without": lambda xs, *omit: [x for x in xs if not any(_same(x, o) for o in omit)],
    "has": _has,
    "compact": lambda xs: [x for x in xs if not empty(x)],
    "slice": _slice,
    "chunk": _chunk,
    "sortAlpha": _sort_alpha,
    "dict": _dict,
    "get": lambda d, key: d.get(key, ""),
    "set": _set,
    "unset": _unset,
    "hasKey": lambda d, key: key in d,
    "keys": lambda *ds: [key for d in ds for key in d],
    "values": lambda d: list(d.values()),
    "pluck": lambda key, *ds: [d[key] for d in ds if key in d],
    "dig": _dig,
    "merge": _merge,
    "mergeOverwrite": _merge_overwrite,
    "deepCopy": deepcopy,
    "pick": lambda d, *names: {name: d[name] for name in names if name in d},
    "omit": lambda d, *names: {name: value for name, value in d.items() if name not in names},
    "kindOf": _kind,
    "kindIs": lambda kind, x: _kind(x) == kind,
    "typeOf": _type,
    "typeIs": lambda kind, x: _type(x) == kind,
    "typeIsLike": lambda kind, x: _type(x) in (kind, f"*{kind}"),
    "deepEqual": _same,
    "toJson": gojson.marshal,
    "mustToJson": gojson.marshal,
    "toRawJson": _raw_json,
    "toPrettyJson": _pretty,
    "fromJson": lambda s: None if syntax_error(s) else gojson.unmarshal(s, floats=True),
    "mustFromJson": _must_from_json,
    "date": _date,
    "now": lambda: datetime.fromtimestamp(PRESENT.get(), UTC),
    "dateInZone": lambda layout, value, zone: _date(layout, value, zone),
    "toDate": _to_date,
    "mustToDate": _must_to_date,
    "date_in_zone": lambda layout, value, zone: _date(layout, value, zone),
    "dateModify": _date_modify,
    "mustDateModify": _must_date_modify,
    "date_modify": _date_modify,
    "htmlDateInZone": lambda value, zone: _date("2006-01-02", value, zone),
    "ago": lambda value: format_go(int(PRESENT.get() - _moment(value).timestamp())),
    "htmlDate": lambda value: _date("2006-01-02", value),
    "unixEpoch": lambda value: str(int(_moment(value).timestamp())),
    "duration": _duration,
    "durationRound": _duration_round,
}
