"""``fields`` of a request: which parts of an answer are wanted, or with ``-`` before them all, which are not.

Source: util/fields of Argo 4.1.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["FieldMask"]

_ALWAYS: tuple[tuple[str, JsonObject], ...] = (
    ("metadata", {}),
    ("spec", {"arguments": {}}),
    ("status", {"startedAt": None, "finishedAt": None}),
)


class FieldMask:
    """``prefix``: what stands before the parts' names in this request (``result.object.``)."""

    def __init__(self, text: str, prefix: str = "") -> None:
        self.leaves_out = text.startswith("-")
        names = (text[1:] if self.leaves_out else text).split(",") if text else []
        self._names = frozenset(name.removeprefix(prefix) for name in names)

    def excludes(self, path: str) -> bool:
        """Whether nothing of what is at ``path`` is wanted."""
        if not self._names:
            return False
        if self.leaves_out:
            return any(path == name or path.startswith(f"{name}.") for name in self._names)
        return not any(path.startswith(name) or name.startswith(path) for name in self._names)

    def of(self, item: Mapping[str, object]) -> JsonObject:
        """What of an object is wanted."""
        given = cast("JsonObject", item)
        return cast("JsonObject", self._cleaned(given, "")) if self._names else given

    def workflow(self, item: Mapping[str, object]) -> JsonObject:
        """The same of a Workflow: parts that Argo's type always has are there, empty where they are not wanted."""
        found = self.of(item)
        missing = {key: empty for key, empty in _ALWAYS if key not in found} if self._names else {}
        return {**found, **missing}

    def items(self, listed: Mapping[str, object]) -> JsonObject:
        """The same of a list of Workflows."""
        found = self.of(listed)
        items = [{**dict(_ALWAYS), **each} for each in cast("list[JsonObject]", found.get("items") or [])]
        return {"metadata": {}, **found, "items": cast("Json", items)}

    def _cleaned(self, value: Json, path: str) -> Json:
        if isinstance(value, list):
            return [self._cleaned(each, path) for each in value]
        if not isinstance(value, dict):
            return value
        found: JsonObject = {}
        for key, each in value.items():
            below = f"{path}.{key}" if path else key
            named = below in self._names
            within = named or any(name.startswith(below) for name in self._names)
            if (not named) if self.leaves_out else within:
                found[key] = each if named else self._cleaned(each, below)
        return found
