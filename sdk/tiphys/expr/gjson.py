"""The part of gjson paths that the keys of a resource's conditions can spell: names, indices, ``#``."""

from __future__ import annotations

import json
from collections.abc import Mapping

__all__ = ["gjson"]


def gjson(value: object, path: str) -> str | None:
    """What the path leads to, as text (``gjson.Result.String``); None when it leads nowhere."""
    parts = [part.replace("\0", ".") for part in path.replace("\\.", "\0").split(".")]
    for part in parts:
        if isinstance(value, Mapping):
            if part not in value:
                return None
            value = value[part]
        elif isinstance(value, list):
            if part == "#":
                value = len(value)
            elif part.isdecimal() and len(part) < 20 and int(part) < len(value):
                value = value[int(part)]
            else:
                return None
        else:
            return None
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
