"""What a plain YAML scalar means to Argo: the typing of sigs.k8s.io/yaml (go-yaml v2, YAML 1.1).

PyYAML differs in both directions: it knows no ``y``/``n``, reads ``1e3`` and ``0o14`` as text, and turns
``12:30:45`` into a number and ``2020-01-01`` into a date. Numbers end as JSON numbers: ``1.0`` is ``1``.
"""

from __future__ import annotations

import base64
import binascii

from tiphys.lazy import regex

__all__ = ["Scalar", "Unrepresentable", "key_text", "resolve_plain", "resolve_tagged"]

type_names = {str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}

Scalar = str | bool | int | float | None

_TRUE = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_NULL = ("", "~", "null", "Null", "NULL")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(_TRUE, True),
    **dict.fromkeys(_FALSE, False),
    **dict.fromkeys(_NULL, None),
}
_NON_FINITE = frozenset(
    sign + name
    for sign, names in (
        ("", (".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF")),
        ("+", (".inf", ".Inf", ".INF")),
        ("-", (".inf", ".Inf", ".INF")),
    )
    for name in names
)
# The first letter decides whether a scalar can be anything but text; most cannot.
_HINTS = frozenset("+-0123456789.yYnNtTfFoO~")
_INTEGER = regex(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)\Z")
_FLOAT = regex(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INT64_MIN, _UINT64_MAX = -(2**63), 2**64 - 1

_TAG = "tag:yaml.org,2002:"


class Unrepresentable(ValueError):
    """A scalar that has no JSON value, or that its explicit tag refuses."""


def resolve_plain(text: str) -> Scalar:
    """Return the JSON value of the plain (unquoted) scalar ``text``."""
    if text and text[0] not in _HINTS:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text in _NON_FINITE:
        raise Unrepresentable(f"{text} has no JSON value")
    first = text[0]
    if first == ".":
        return _float(text) if _FLOAT.match(text) else text
    if first in "+-0123456789":
        plain = text.replace("_", "")
        number = _integer(plain) if _INTEGER.match(plain) else None
        if number is not None:
            return number
        if _FLOAT.match(plain):
            return _float(plain, fallback=text)
    return text


def resolve_tagged(tag: str, text: str) -> Scalar:
    """Return the value of a scalar with an explicit tag such as ``!!int``; a foreign tag means text."""
    if not tag.startswith(_TAG):
        return text
    name = tag[len(_TAG) :]
    if name == "binary":
        try:
            return base64.b64decode(text, validate=False).decode("utf-8", "replace")
        except (binascii.Error, ValueError) as error:
            raise Unrepresentable("!!binary value contains invalid base64 data") from error
    if name not in ("int", "float", "bool", "null"):
        return text
    value = resolve_plain(text)
    kind = "null" if value is None else type(value).__name__
    if kind == name or (name == "float" and kind == "int"):
        return value
    raise Unrepresentable(f"cannot decode {text!r} as a !!{name}")


def key_text(value: Scalar) -> str | None:
    """Return a mapping key as JSON has it (``on`` is ``"true"``), or None where there is no such key."""
    if isinstance(value, str):
        return value
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _integer(plain: str) -> int | None:
    sign = -1 if plain[0] == "-" else 1
    digits = plain.lstrip("+-").lower()
    if digits.startswith(("0x", "0b", "0o")):
        number = sign * int(digits, 0)
    elif len(digits) > 1 and digits[0] == "0":
        number = sign * int(digits, 8)
    else:
        if len(digits) > 20:  # beyond 64 bits; int() of a huge text is slow
            return None
        number = sign * int(digits)
    return number if _INT64_MIN <= number <= _UINT64_MAX else None


def _float(text: str, fallback: str | None = None) -> Scalar:
    number = float(text)
    if number in (float("inf"), float("-inf")):  # out of range: Go leaves it as text
        return fallback if fallback is not None else text
    if number.is_integer() and abs(number) < 1e21:
        return int(number)
    return number
