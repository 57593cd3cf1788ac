"""What JSON text holds, as types: for values that no schema describes."""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["Json", "JsonObject"]

# Something that only reads a value, be it one of Argo's objects (a TypedDict) or free JSON, takes ``object``.
Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
JsonObject: TypeAlias = dict[str, Json]
