"""sprig's numbers: whole ones, floats (computed in decimals, as sprig does), and lists of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import reduce
from typing import Any

from tiphys.expr.budget import within
from tiphys.expr.gofmt import v
from tiphys.expr.gotext import atoi, parse_float
from tiphys.expr.lexer import ExprError

Value = Any

__all__ = ["NUMBERS"]

_PLACES = Decimal("1e-16")  # of a quotient: what shopspring's decimal keeps


def whole(value: Value) -> int:
    """Any value as an int64, as spf13/cast makes one; 0 for what is none."""
    if isinstance(value, (bool, int, float)):
        return int(value)
    if isinstance(value, str) and value.isascii() and value == value.strip():
        text = re.sub(r"\.\d*$", "", value)
        octal = re.fullmatch(r"([-+]?)0([0-7]+)", text)
        try:
            return int(f"{octal[1]}0o{octal[2]}" if octal else text, 0)
        except ValueError:
            return 0
    return 0


def real(value: Value) -> float:
    """Any value as a float64; 0 for what is none."""
    if isinstance(value, str):
        return parse_float(value) or 0.0
    return float(value) if isinstance(value, (int, float)) else 0.0


def _octal(value: Value) -> int:
    text = v(value)
    return int(text, 8) if re.fullmatch(r"[+-]?[0-7]+", text, re.ASCII) else 0


def _round(value: Value, places: int, round_on: float = 0.5) -> float:
    power = 10.0**places
    digit = power * real(value)
    fraction = math.modf(digit)[0]
    return (math.ceil(digit) if fraction >= round_on else math.floor(digit)) / power


def _divide(left: Value, right: Value) -> int:
    dividend, divisor = whole(left), whole(right)
    if divisor == 0:
        raise ExprError("runtime error: integer divide by zero")
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def _mod(left: Value, right: Value) -> int:
    return whole(left) - whole(right) * _divide(left, right)


def _product(first: Value, *rest: Value) -> int:
    return math.prod(map(whole, (first, *rest)))


def _ints(function: Callable[[Iterable[int]], int]) -> Callable[..., int]:
    return lambda *values: function(whole(value) for value in values)


def _decimals(
    step: Callable[[Decimal, Decimal], Decimal], *, start: float | None = None
) -> Callable[..., float]:
    """Compute from left to right in decimals: 0.1 + 0.2 is 0.3."""

    def run(*values: Value) -> float:
        numbers = [Decimal(repr(real(value))) for value in values]
        if start is not None:
            numbers.insert(0, Decimal(start))
        if not numbers:
            raise ExprError("reflect: Call with too few input arguments")
        with localcontext(prec=400):
            return float(reduce(step, numbers))

    return run


def _quotient(left: Decimal, right: Decimal) -> Decimal:
    if right == 0:
        raise ExprError("decimal division by 0")
    return (left / right).quantize(_PLACES, ROUND_HALF_UP)


def _seq(*given: Value) -> str:
    values = [whole(value) for value in given]
    step = 1
    match values:
        case [end]:
            start, step = 1, 1 if end >= 1 else -1
        case [start, end]:
            step = 1 if end >= start else -1
        case [start, step, end] if step and (end - start) * step >= 0:
            pass
        case _:
            return ""
    return " ".join(map(str, _counted(start, end + (1 if step > 0 else -1), step)))


def _counted(start: int, end: int, step: int) -> list[int]:
    """A list that Go's sprig would make, too, if the memory of a controller holds it."""
    within((end - start) // step)
    return list(range(start, end, step))


NUMBERS: dict[str, Callable[..., Value]] = {
    "atoi": lambda s: atoi(s) or 0,
    "int": whole,
    "int64": whole,
    "float64": real,
    "toDecimal": _octal,
    "add": lambda *xs: sum(whole(x) for x in xs),
    "add1": lambda x: whole(x) + 1,
    "sub": lambda a, b: whole(a) - whole(b),
    "mul": _product,
    "div": _divide,
    "mod": _mod,
    "max": _ints(max),
    "min": _ints(min),
    "biggest": _ints(max),
    "addf": _decimals(lambda a, b: a + b, start=0),
    "add1f": lambda x: NUMBERS["addf"](x, 1),
    "subf": _decimals(lambda a, b: a - b),
    "mulf": _decimals(lambda a, b: a * b),
    "divf": _decimals(_quotient),
    "maxf": lambda *xs: max(real(x) for x in xs),
    "minf": lambda *xs: min(real(x) for x in xs),
    "ceil": lambda x: float(math.ceil(real(x))),
    "floor": lambda x: float(math.floor(real(x))),
    "round": _round,
    "until": lambda n: _counted(0, n, 1 if n >= 0 else -1),
    "untilStep": lambda a, b, step: _counted(a, b, step) if step else [],
    "seq": _seq,
}
