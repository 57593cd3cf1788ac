"""Go's ``fmt`` for the few verbs that reach users: ``%v`` of decoded JSON, and ``withSequence`` formats."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from tiphys.lazy import regex

__all__ = ["float_v", "sprintf", "v"]


def float_v(value: float) -> str:
    """Return a float64 as ``%v`` writes it: ``strconv.FormatFloat(value, 'g', -1, 64)``, an exponent from 1e6 on."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    sign, figures, exponent = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, figures))
    power = len(digits) + int(exponent) - 1
    digits, minus = digits.rstrip("0") or "0", "-" if sign else ""
    if value == 0:
        return f"{minus}0"
    if not -4 <= power < 6:
        rest = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{minus}{digits[0]}{rest}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if power < 0:
        return f"{minus}0.{'0' * (-power - 1)}{digits}"
    whole, rest = digits[: power + 1].ljust(power + 1, "0"), digits[power + 1 :]
    return minus + whole + (f".{rest}" if rest else "")


def v(value: object) -> str:
    """Return ``fmt.Sprintf("%v", value)`` for decoded JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return float_v(value)
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(v(item) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{v(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, (datetime, timedelta, tzinfo)):
        from tiphys.expr.moments import show

        return show(value)
    return str(value)


_VERB = regex(r"%([-+# 0]*)(\d*)(?:\.(\d+))?([a-zA-Z%]|$)")


def sprintf(template: str, *values: object) -> str:
    """Return ``fmt.Sprintf(template, values...)`` for integers, floats and strings."""
    used = 0

    def verb(match: re.Match[str]) -> str:
        nonlocal used
        flags, width, precision, letter = match.groups()
        if letter == "%":
            return "%"
        if not letter:
            return "%!(NOVERB)"
        if used >= len(values):
            return f"%!{letter}(MISSING)"
        value = values[used]
        used += 1
        return _one(flags, width, precision, letter, value)

    result = _VERB.sub(verb, template)
    if used < len(values):
        extra = ", ".join(f"{_type(value)}={v(value)}" for value in values[used:])
        result += f"%!(EXTRA {extra})"
    return result


def _type(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return {int: "int", float: "float64", str: "string"}.get(type(value), type(value).__name__)


def _one(flags: str, width: str, precision: str | None, letter: str, value: object) -> str:
    if any(len(number) > 6 for number in (width, precision or "")):
        return "%!(NOVERB)"  # Go reads no number that large
    spec = f"%{flags}{width}" + (f".{precision}" if precision is not None else "")
    integer = value if isinstance(value, int) and not isinstance(value, bool) else None
    if letter == "v":
        if integer is not None:
            return _one(flags, width, precision, "d", value)
        shown: str = f"%{flags.replace('0', '')}{width}s" % v(value)
        return (
            shown.replace(" ", "0") if "0" in flags and "-" not in flags and isinstance(value, str) else shown
        )
    if integer is not None and letter in "dxXo":
        return str((spec + letter) % integer)
    if integer is not None and letter in "bcqU":
        body = {
            "b": lambda: f"{integer:b}",
            "c": lambda: chr(integer),
            "q": lambda: f"'{chr(integer)}'",
            "U": lambda: f"U+{integer:04X}",
        }[letter]()
        if "0" in flags and letter == "b" and width:
            return body.zfill(int(width))
        return (f"%{flags.replace('0', '').replace('#', '')}{width}s") % body
    if isinstance(value, float) and letter in "feEgG":
        return str((spec + letter) % value)
    if isinstance(value, str) and letter == "s":
        return (spec + "s") % value
    if isinstance(value, str) and letter == "q":
        from tiphys.expr.gojson import text

        return text(value)
    if isinstance(value, str) and letter in "xX":
        written = value.encode().hex()
        return written.upper() if letter == "X" else written
    if isinstance(value, bool) and letter == "t":
        return (f"%{flags}{width}s") % v(value)
    return f"%!{letter}({_type(value)}={v(value)})"
