"""Kubernetes quantities: ``20Mi``, ``1.5G``, ``500m``."""

from __future__ import annotations

import re

__all__ = ["quantity"]

_UNITS = {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
    "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
    "m": 1e-3, "u": 1e-6, "n": 1e-9,
}  # fmt: skip
_QUANTITY = re.compile(rf"([-+]?(?:\d+(?:\.\d*)?|\.\d+))(?:({'|'.join(_UNITS)})|[eE][-+]?\d+)?", re.ASCII)


def quantity(text: object) -> float:
    """A Kubernetes quantity as a number: ``20Mi``, ``1.5G``, ``500m``, ``2e3``. Raises ValueError."""
    word = str(text)
    found = _QUANTITY.fullmatch(word)
    if found is None:
        raise ValueError(f"{word!r} is no quantity")
    number, unit = found.groups()
    return float(number) * _UNITS[unit] if unit else float(word)
