"""Kubernetes quantities: ``20Mi``, ``1.5G``, ``500m``."""

from __future__ import annotations

from typing import Any

__all__ = ["quantity"]

_UNITS = {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
    "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
    "m": 1e-3, "u": 1e-6, "n": 1e-9,
}  # fmt: skip


def quantity(text: Any) -> float:
    """A Kubernetes quantity as a number: ``20Mi``, ``1.5G``, ``500m``, ``2e3``. Raises ValueError."""
    word = str(text).strip()
    for unit, factor in _UNITS.items():
        if word.endswith(unit):
            return float(word[: -len(unit)]) * factor
    return float(word)
