"""Copies of JSON values."""

from __future__ import annotations

from typing import TypeVar, cast

__all__ = ["plain_copy"]


T = TypeVar("T")


def plain_copy(value: T) -> T:
    """Return a copy of a value that JSON can hold: a tree, so nothing has to be remembered as ``deepcopy`` does."""
    return cast("T", _copy(value))


def _copy(value: object) -> object:
    if isinstance(value, dict):
        return {key: item if type(item) is str else _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [item if type(item) is str else _copy(item) for item in value]
    return value
