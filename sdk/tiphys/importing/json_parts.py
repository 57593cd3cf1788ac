"""Parts of JSON whose shape is not known: what is not there is empty."""

from __future__ import annotations

from tiphys.jsontypes import Json, JsonObject

__all__ = ["at", "items_of", "rows_of"]


def at(place: Json, *path: str) -> JsonObject:
    """The mapping at a path; an empty one where there is none."""
    for step in path:
        place = place.get(step) if isinstance(place, dict) else None
    return place if isinstance(place, dict) else {}


def items_of(place: Json) -> list[Json]:
    """A list; an empty one for what is none."""
    return place if isinstance(place, list) else []


def rows_of(place: Json) -> list[JsonObject]:
    """The mappings of a list."""
    return [each for each in items_of(place) if isinstance(each, dict)]
