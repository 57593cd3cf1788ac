"""Kubernetes quantities: ``20Mi``, ``1.5G``, ``500m``."""

from __future__ import annotations

import re

from tiphys.lazy import regex

__all__ = ["quantity", "unit_of", "whole_quantity", "written_quantity"]

_UNITS = {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
    "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
    "m": 1e-3, "u": 1e-6, "n": 1e-9,
}  # fmt: skip
_QUANTITY = regex(rf"([-+]?(?:\d+(?:\.\d*)?|\.\d+))(?:({'|'.join(_UNITS)})|[eE][-+]?\d+)?", re.ASCII)


def quantity(text: object) -> float:
    """A Kubernetes quantity as a number: ``20Mi``, ``1.5G``, ``500m``, ``2e3``. Raises ValueError."""
    word = str(text)
    found = _QUANTITY.fullmatch(word)
    if found is None:
        raise ValueError(f"{word!r} is no quantity")
    number, unit = found.groups()
    return float(number) * _UNITS[unit] if unit else float(word)


_LARGEST = 2**63 - 1  # what Kubernetes counts in


def whole_quantity(text: object, unit: str = "") -> int:
    """How many of ``unit`` (``""`` or ``"m"``) a quantity is: 1500 m for ``1.5``. Raises ValueError for what is no
    quantity, below 0, no whole number of units, or more than Kubernetes counts."""
    word = str(text)
    found = _QUANTITY.fullmatch(word)
    if found is None or len(word) > 40:
        raise ValueError(f"{word[:40]!r} is no quantity")
    number, suffix = found.groups()
    from decimal import Context, Decimal  # slow to import, and few ask for this

    exact, size = Context(prec=60), Decimal(str(_UNITS[unit] if unit else 1))
    try:  # decimals, since 0.1 has no float
        amount = exact.multiply(Decimal(number), Decimal(str(_UNITS[suffix]))) if suffix else Decimal(word)
        many = exact.divide(amount, size)
    except ArithmeticError:
        raise ValueError(f"{word!r} is too much") from None
    if not 0 <= many <= _LARGEST:
        raise ValueError(f"{word!r} is not between 0 and 2^63")
    if many != int(many):
        raise ValueError(f"{word!r} is no whole number of {unit or 'units'}")
    return int(many)


_BYTES = ("memory", "ephemeral-storage")
_BINARY = ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki")


def unit_of(resource: str) -> str:
    """What a resource is counted in, as of :func:`whole_quantity`: cores in thousandths, bytes and devices whole."""
    return "m" if resource == "cpu" else ""


def written_quantity(resource: str, amount: int) -> str:
    """So many of :func:`unit_of` a resource, as Kubernetes writes it: exactly."""
    if resource == "cpu":
        return f"{amount}m" if amount % 1000 else str(amount // 1000)
    if resource in _BYTES and amount:
        for suffix in _BINARY:
            if amount % _UNITS[suffix] == 0:
                return f"{amount // int(_UNITS[suffix])}{suffix}"
    return str(amount)
