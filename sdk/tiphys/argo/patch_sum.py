"""Two strategic merge patches as one: what it does is what they do one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.argo.patch_keys import TYPES

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["patch_sum"]

_PLAIN = ("", "", "")


def patch_sum(first: Mapping[str, Json], second: Mapping[str, Json], type_: str) -> JsonObject:
    """The patch that does what ``first`` and then ``second`` do. ``type_``: as :func:`tiphys.argo.patch.strategic`."""
    made = dict(first)
    for key, value in second.items():
        target, strategies, merge_key = TYPES.get(type_, {}).get(key, _PLAIN)
        there = made.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            made[key] = patch_sum(there, value, target)
        elif isinstance(there, list) and isinstance(value, list) and "merge" in strategies.split(","):
            made[key] = _items(there, value, target, merge_key)
        else:
            made[key] = value
    return made


def _items(first: list[Json], second: list[Json], type_: str, merge_key: str) -> list[Json]:
    """Items with one key become one; what has none (text, a directive) is kept."""
    made = list(first)
    places = {each.get(merge_key): at for at, each in enumerate(made) if isinstance(each, dict)}
    for each in second:
        at = places.get(each[merge_key]) if isinstance(each, dict) and merge_key in each else None
        there = None if at is None else made[at]
        if at is not None and isinstance(there, dict) and isinstance(each, dict):
            made[at] = patch_sum(there, each, type_)
        else:
            made.append(each)
    return made
