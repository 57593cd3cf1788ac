"""JSON as Go's ``encoding/json`` writes it: what ``toJson`` and every non-string expression result look like.

Differences from :func:`json.dumps`: no blanks, map keys sorted, ``< > &`` and U+2028/U+2029 escaped, floats in Go's
shortest form (``43.0`` is ``43``, ``1e+21`` from 1e21 on).
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tiphys.expr import moments
from tiphys.expr.gotext import visible
from tiphys.expr.semver import SemverVersion
from tiphys.lazy import regex

if TYPE_CHECKING:
    from tiphys.jsontypes import Json


__all__ = ["AnyMap", "float_text", "marshal", "marshal_indent", "unmarshal"]


class AnyMap(dict[Any, Any]):
    """A Go map with keys of any kind, which JSON cannot hold."""

    def __init__(self, pairs: Any, values: str) -> None:
        super().__init__(pairs)
        self.values_kind = values


_ESCAPED = regex(r'[\x00-\x1f"\\<>&\u2028\u2029]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def text(value: str) -> str:
    """Return ``value`` as a JSON string, quotes included."""
    return '"' + _ESCAPED.sub(_escape, visible(value)) + '"'


def float_text(value: float) -> str:
    """Return a float64 as Go's JSON encoder writes it."""
    if value != value or value in (float("inf"), float("-inf")):
        name = "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
        raise ValueError(f"json: unsupported value: {name}")
    if value == 0:
        return "-0" if str(value).startswith("-") else "0"
    magnitude = abs(value)
    if magnitude < 1e-6 or magnitude >= 1e21:
        mantissa, _, exponent = repr(value).partition("e")
        if not exponent:
            mantissa, _, exponent = f"{value:e}".partition("e")
            mantissa = mantissa.rstrip("0").rstrip(".")
        if mantissa.endswith(".0"):
            mantissa = mantissa[:-2]
        number = int(exponent)
        return f"{mantissa}e{'-' if number < 0 else '+'}{abs(number):02d}".replace("e-0", "e-")
    if value == int(value):
        return str(int(value)) if magnitude < 2**53 else str(int(Decimal(repr(value))))
    shortest = repr(value)
    if "e" in shortest:
        shortest = f"{value:.20f}".rstrip("0")
    return shortest


def marshal(value: object, *, sort: bool = True) -> str:
    """Return ``value`` as compact JSON; ``sort=False`` keeps the order of keys, as a Go struct does.

    Raises
    ------
    TypeError
        A value that JSON cannot hold (a function).
    """
    if isinstance(value, str):
        return text(value)
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([marshal(item, sort=sort) for item in value]) + "]"
    if isinstance(value, AnyMap):
        raise TypeError(f"json: unsupported type: map[interface {{}}]{value.values_kind}")
    if isinstance(value, dict):
        keys = sorted(value, key=str) if sort else list(value)
        return "{" + ",".join([text(str(key)) + ":" + marshal(value[key], sort=sort) for key in keys]) + "}"
    if isinstance(value, datetime):
        return text(moments.text(value))
    if isinstance(value, timedelta):
        return str(moments.nanoseconds(value))
    if isinstance(value, moments.Named):
        return str(value.number)
    if isinstance(value, SemverVersion):
        return text(str(value))
    if isinstance(value, tzinfo):
        return "{}"
    if callable(value):
        raise TypeError("json: unsupported type: func()")
    raise TypeError(f"json: unsupported type: {type(value).__name__}")


def marshal_indent(value: object) -> str:
    """Return ``value`` as JSON over several lines, two blanks a level."""
    return _indented(marshal(value), "  ")


def _indented(compact: str, step: str) -> str:
    out: list[str] = []
    depth = 0
    for piece in re.findall(r'"(?:\\.|[^"\\])*"|\{\}|\[\]|[\[\]{},:]|[^\[\]{},:"]+', compact):
        if piece in ("{", "["):
            depth += 1
            out.append(piece + "\n" + step * depth)
        elif piece in ("}", "]"):
            depth -= 1
            out.append("\n" + step * depth + piece)
        else:
            out.append({",": ",\n" + step * depth, ":": ": "}.get(piece, piece))
    return "".join(out)


TOO_DEEP = "exceeded max depth"
_HALF = regex(r"\\u[dD]|[\ud800-\udfff]")
_HALVES = regex(r"[\ud800-\udfff]")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(text)
    return value


def _no_constant(text: str) -> float:
    raise json.JSONDecodeError(f"invalid character {text[:1]!r}", text, 0)


# what Python's own reader takes beyond JSON (NaN, Infinity, 1e999) no reader in Go does
_PLAIN = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
_FLOATS = json.JSONDecoder(parse_float=_finite, parse_int=_finite, parse_constant=_no_constant)


def unmarshal(source: str, *, floats: bool = False) -> Json:
    """Parse JSON; with ``floats`` every number is a float64, as when Go decodes into ``interface{}``. Half of a
    surrogate pair is read as U+FFFD.

    Raises json.JSONDecodeError, also for what is nested too deeply (its ``msg`` is ``TOO_DEEP`` then) and for a number
    that nothing holds.
    """
    try:
        value: Json = (_FLOATS if floats else _PLAIN).decode(source)
        return _whole(value) if _HALF.search(source) else value
    except RecursionError:
        raise json.JSONDecodeError(TOO_DEEP, source, 0) from None
    except json.JSONDecodeError:
        raise
    except ValueError:
        raise json.JSONDecodeError("number out of range", source, 0) from None


def _whole(value: Json) -> Json:
    """The same without halves of pairs."""
    if isinstance(value, str):
        return _HALVES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {_HALVES.sub("\ufffd", key): _whole(each) for key, each in value.items()}
    return value
