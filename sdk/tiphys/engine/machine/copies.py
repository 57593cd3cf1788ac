"""Copies of JSON values."""

from __future__ import annotations

from typing import Any

Json = Any

__all__ = ["plain_copy"]


def plain_copy(value: Json) -> Json:
    """Return a copy of a value that JSON can hold: a tree, so nothing has to be remembered as ``deepcopy`` does."""
    if isinstance(value, dict):
        return {key: plain_copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain_copy(item) for item in value]
    return value
