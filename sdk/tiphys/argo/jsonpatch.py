"""JSON Patch (RFC 6902) and JSON merge patch (RFC 7386) as the API server applies them.

It uses evanphx/json-patch, which is kinder than the standards in places: an index may count from the end, a key that
is not there can be replaced, copied and tested as null, and a merge drops the nulls of objects in new lists.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from tiphys.argo.copies import plain_copy
from tiphys.lazy import regex

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["PatchError", "json_patch", "merge_patch"]

Holder: TypeAlias = "list[Json] | JsonObject"
_INDEX = regex(r"[+-]?[0-9]{1,18}")


class PatchError(ValueError):
    """The patch does not fit."""


# -- RFC 6902 --------------------------------------------------------------------------------------------------------


def json_patch(document: Holder, operations: object) -> Holder:
    """The document after all operations; the document itself is left alone. Raises PatchError."""
    if not isinstance(operations, list) or not all(isinstance(each, Mapping) for each in operations):
        raise PatchError("a JSON patch must be a list of operations")
    result = plain_copy(document)
    for operation in operations:
        verb = operation.get("op")
        if verb not in _OPERATIONS:
            raise PatchError(f"Unexpected kind: {verb if isinstance(verb, str) else 'unknown'}")
        result = _OPERATIONS[verb](result, operation)
    return result


class _Place:
    """Where a path leads: a key or index of an object or list."""

    def __init__(self, root: Holder, path: str, verb: str, what: str = "path") -> None:
        self.path, self.verb = path, verb
        parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
        if not parts:
            raise self.missing(what)
        self.holder = root
        self.key = parts[-1]
        for part in parts[:-1]:
            inner = _get(self.holder, part)
            if not isinstance(inner, dict | list):
                raise self.missing(what)
            self.holder = inner

    def missing(self, what: str) -> PatchError:
        return PatchError(f"{self.verb} operation does not apply: doc is missing {what}: {self.path}")

    def invalid(self) -> PatchError:
        return PatchError(
            f"error in {self.verb} for path: '{self.path}': invalid index referenced: {self.key}"
        )

    def index(self, length: int) -> int:
        number = int(self.key) if _INDEX.fullmatch(self.key) else length
        if not -length <= number < length:
            raise self.invalid()
        return number % length

    def get(self) -> Json:
        if isinstance(self.holder, list):
            return self.holder[self.index(len(self.holder))]
        return self.holder.get(self.key)

    def add(self, value: Json) -> None:
        if not isinstance(self.holder, list):
            self.holder[self.key] = value
        elif self.key == "-":
            self.holder.append(value)
        else:
            self.holder.insert(self.index(len(self.holder) + 1), value)

    def set(self, value: Json) -> None:
        if isinstance(self.holder, list):
            self.holder[self.index(len(self.holder))] = value
        else:
            self.holder[self.key] = value

    def remove(self) -> None:
        if isinstance(self.holder, list):
            del self.holder[self.index(len(self.holder))]
        elif self.key in self.holder:
            del self.holder[self.key]
        else:
            raise self.missing("key")


def _get(holder: Holder, part: str) -> Json:
    if isinstance(holder, list):
        number = int(part) if _INDEX.fullmatch(part) else len(holder)
        return holder[number] if -len(holder) <= number < len(holder) else None
    return holder.get(part)


def _text(operation: Mapping[str, Json], field: str) -> str:
    found = operation.get(field)
    if not isinstance(found, str):
        raise PatchError(f"{operation['op']} operation failed to decode {field}")
    return found


def _value(operation: Mapping[str, Json]) -> Json:
    return plain_copy(operation.get("value"))


def _add(root: Holder, operation: Mapping[str, Json]) -> Holder:
    _Place(root, _text(operation, "path"), "add").add(_value(operation))
    return root


def _remove(root: Holder, operation: Mapping[str, Json]) -> Holder:
    _Place(root, _text(operation, "path"), "remove").remove()
    return root


def _replace(root: Holder, operation: Mapping[str, Json]) -> Holder:
    path, value = _text(operation, "path"), _value(operation)
    if path == "":
        if "value" not in operation:
            raise PatchError("replace operation has no value")
        return value if isinstance(value, dict | list) else root
    _Place(root, path, "replace").set(value)
    return root


def _move(root: Holder, operation: Mapping[str, Json]) -> Holder:
    source = _Place(root, _text(operation, "from"), "move", "from path")
    value = source.get()
    source.remove()
    _Place(root, _text(operation, "path"), "move", "destination path").add(value)
    return root


def _copy(root: Holder, operation: Mapping[str, Json]) -> Holder:
    value = _Place(root, _text(operation, "from"), "copy", "from path").get()
    _Place(root, _text(operation, "path"), "copy", "destination path").add(plain_copy(value))
    return root


def _test(root: Holder, operation: Mapping[str, Json]) -> Holder:
    path = _text(operation, "path")
    found = root if path == "" else _Place(root, path, "test").get()
    if "value" not in operation or not _same(found, operation["value"]):
        raise PatchError(f"testing value {path} failed")
    return root


def _same(one: object, other: object) -> bool:
    """1 is not 1.0 and not true; keys have no order."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


_OPERATIONS: dict[str, Callable[[Holder, Mapping[str, Json]], Holder]] = {
    "add": _add,
    "copy": _copy,
    "move": _move,
    "remove": _remove,
    "replace": _replace,
    "test": _test,
}


# -- RFC 7386 --------------------------------------------------------------------------------------------------------


def merge_patch(document: Mapping[str, Json], patch: Mapping[str, Json]) -> JsonObject:
    """The object after a merge: nulls remove, objects are merged, all else is replaced."""
    result = {key: value if key in patch else plain_copy(value) for key, value in document.items()}
    for key, value in patch.items():
        before = document.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(before, dict):
            result[key] = merge_patch(before, value) if isinstance(value, Mapping) else plain_copy(value)
        else:
            result[key] = _pruned(value)
    return result


def _pruned(value: Json) -> Json:
    """A copy without the nulls of objects; those of lists stay."""
    if isinstance(value, Mapping):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    return [_pruned(item) for item in value] if isinstance(value, list) else value
