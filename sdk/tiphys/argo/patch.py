"""``kubectl patch`` and ``kubectl apply``: strategic merge, JSON merge and JSON Patch of Kubernetes objects.

Strategic merge (k8s.io/apimachinery, pkg/util/strategicpatch) merges the lists that have a key, by the tags of the Go
types: the table ``patch_keys``. Argo merges ``templateDefaults``, stored workflow specs and ``podSpecPatch`` with it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from tiphys.argo.jsonpatch import PatchError, json_patch, merge_patch
from tiphys.argo.patch_keys import KINDS, TYPES
from tiphys.expr.gofmt import v

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = [
    "LAST_APPLIED",
    "POD_SPEC",
    "TEMPLATE",
    "WORKFLOW",
    "WORKFLOW_SPEC",
    "PatchError",
    "apply_patch",
    "strategic",
    "three_way",
    "type_of",
    "without_nulls",
]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
POD_SPEC = "core/v1.PodSpec"
TEMPLATE = "workflow/v1alpha1.Template"
WORKFLOW = "workflow/v1alpha1.Workflow"
WORKFLOW_SPEC = "workflow/v1alpha1.WorkflowSpec"

T = TypeVar("T")
_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_PLAIN = ("", "", "")


def type_of(item: Mapping[str, object]) -> str:
    """The Go type of an object of Kubernetes' own; empty for any other."""
    return KINDS.get(f"{item.get('apiVersion')}/{item.get('kind')}", "")


def apply_patch(item: Mapping[str, Json], patch: Json, strategy: str) -> JsonObject:
    """The object after ``kubectl patch --type strategy``; the object itself is left alone.

    Raises
    ------
    PatchError
        The server does not take it, in kubectl's words (seen: kubectl 1.33).
    """
    if strategy == "json":
        if not isinstance(patch, list):
            raise _undecoded("error decoding patch: ", patch, "[]handlers.jsonPatchOp")
        result = _asked(_INVALID, lambda: json_patch(dict(item), patch))
        if not isinstance(result, dict):
            raise PatchError("The request is invalid: patch: Invalid value: couldn't get version/kind")
        return result
    if strategy == "strategic" and not type_of(item):
        raise PatchError(
            "error: application/strategic-merge-patch+json is not supported by "
            f"{item.get('apiVersion')}, Kind={item.get('kind')}: the body of the request was in an unknown format - "
            "accepted media types include: application/json-patch+json, application/merge-patch+json, "
            "application/apply-patch+yaml"
        )
    if not isinstance(patch, Mapping):
        before = "error decoding patch: " if strategy == "merge" else ""
        raise _undecoded(before, patch, "map[string]interface {}")
    if strategy == "merge":
        return merge_patch(item, patch)
    return _asked("Error from server: {}", lambda: strategic(item, patch, type_of(item)))


_INVALID = "The request is invalid: the server rejected our request due to an error in our request"
_GO_KINDS = {"NoneType": "null", "bool": "bool", "str": "string", "list": "array", "dict": "object"}


def _asked(words: str, patch: Callable[[], T]) -> T:
    try:
        return patch()
    except PatchError as error:
        raise PatchError(words.format(error)) from error


def _undecoded(before: str, patch: Json, wanted: str) -> PatchError:
    kind = _GO_KINDS.get(_kind(patch), "number")
    return PatchError(
        f"Error from server (BadRequest): {before}json: cannot unmarshal {kind} into Go value of type {wanted}"
    )


def without_nulls(value: T) -> T:
    """A copy without the nulls of objects, at any depth: for Argo, which decodes first, they are not there."""
    return cast("T", _without_nulls(value))


def _without_nulls(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


# -- strategic merge -------------------------------------------------------------------------------------------------


def strategic(original: Mapping[str, object], patch: Mapping[str, object], type_: str) -> JsonObject:
    """The object after a strategic merge; both are left alone.

    Parameters
    ----------
    type_:
        The Go type of the object: see :func:`type_of`, ``POD_SPEC``, ``TEMPLATE``.

    Raises
    ------
    PatchError
        An item of a keyed list has no key, or a directive is not one.
    """
    return _merge(_own(original), _own(patch), type_)


def _own(item: Mapping[str, object]) -> JsonObject:
    return cast("JsonObject", copy.deepcopy(dict(item)))


def _field(type_: str, key: str) -> tuple[str, bool, str, str]:
    """What a field holds, whether only the keys of its patch stay (retainKeys), its strategy and its list's key."""
    target, strategies, merge_key = TYPES.get(type_, {}).get(key, _PLAIN)
    names = strategies.split(",")
    return (
        target,
        "retainKeys" in names,
        next((name for name in names if name != "retainKeys"), ""),
        merge_key,
    )


def _merge(original: JsonObject, patch: JsonObject, type_: str) -> JsonObject:
    if _DIRECTIVE in patch:
        directive = patch.pop(_DIRECTIVE)
        if directive not in ("replace", "delete"):
            raise PatchError(
                f"unknown patch type: {v(directive)} in map: {v({_DIRECTIVE: directive, **patch})}"
            )
        return patch if directive == "replace" else {}
    _retain(original, patch)
    _ordered(original, patch, type_)
    for key, value in patch.items():
        name, is_deletion = key, key.startswith(_DELETE)
        if is_deletion:
            name = key.removeprefix(_DELETE)
        if value is None:
            original.pop(name, None)
            continue
        target, _, strategy, merge_key = _field(type_, name)
        before = original.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            original[name] = value if strategy == "replace" else _merge(before, value, target)
        elif isinstance(before, list) and isinstance(value, list):
            merged = strategy == "merge" or (is_deletion and strategy != "replace")
            original[name] = _merge_list(before, value, target, merge_key, is_deletion) if merged else value
        elif not is_deletion:
            _take(original, name, value)
    return original


def _kind(value: object) -> str:
    """What Go's JSON makes of it: the types between which it sees a difference."""
    if value is None or isinstance(value, bool | str | dict | list):
        return type(value).__name__
    return "number"


def _take(original: JsonObject, key: str, value: Json) -> None:
    """Set what was not there or was of another type: nothing to merge, so directives and nulls mean nothing."""
    kept = _undirected(without_nulls(value))
    if kept is None:
        original.pop(key, None)
    else:
        original[key] = kept


def _undirected(value: Json) -> Json:
    if isinstance(value, dict):
        if _DIRECTIVE in value:
            return None
        items = {key: _undirected(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not None}
    return _undirected_items(value) if isinstance(value, list) else value


def _undirected_items(items: list[Json]) -> list[Json]:
    return [_undirected(item) for item in items if not (isinstance(item, dict) and _DIRECTIVE in item)]


def _retain(original: JsonObject, patch: JsonObject) -> None:
    if _RETAIN not in patch:
        return
    kept = patch.pop(_RETAIN)
    strange = {
        key for key, value in patch.items() if value is not None and not key.startswith((_DELETE, _ORDER))
    }
    if not isinstance(kept, list) or not all(name in kept for name in strange):
        raise PatchError("invalid patch format of retainKeys")
    for key in [key for key in original if key not in kept]:
        del original[key]


def _ordered(original: JsonObject, patch: JsonObject, type_: str) -> None:
    """The lists whose order the patch gives (``$setElementOrder/ports``): they are merged here and leave the patch."""
    for key in [key for key in patch if key.startswith(_ORDER)]:
        order, name = patch.pop(key), key.removeprefix(_ORDER)
        before, after = original.get(name, []), patch.get(name, [])
        target, _, strategy, merge_key = _field(type_, name)
        if not isinstance(order, list) or not isinstance(before, list) or not isinstance(after, list):
            raise PatchError("invalid patch format of setElementOrder list")
        _check_order(after, order, merge_key)
        if name in patch and name in original:
            merged = _merge_list(before, after, target, merge_key) if strategy == "merge" else after
        elif name in patch:
            merged = _undirected_items(after)
        elif name in original:
            merged = before
        else:
            continue
        if not _element([*before, *after]):
            raise PatchError("no elements in any of the given slices")
        original[name] = _arranged(merged, order, before, merge_key)
        patch.pop(name, None)


def _check_order(items: list[Json], order: list[Json], key: str) -> None:
    """What the patch changes must be in its order, and in that order."""
    if not order:
        return
    wanted = iter([_key_of(item, key) for item in order])
    for item in items:
        if isinstance(item, dict) and _DIRECTIVE in item:
            continue
        if _key_of(item, key) not in wanted:  # goes on where it stopped
            raise PatchError("the order in the patch list does not match the setElementOrder list")


def _merge_list(
    original: list[Json], patch: list[Json], type_: str, key: str, is_deletion: bool = False
) -> list[Json]:
    kind = _element([*original, *patch])
    if not kind:
        return original
    if kind != "dict":
        if is_deletion:
            return [item for item in original if item not in patch]
        merged = list(dict.fromkeys([*original, *patch]))
        return _arranged(merged, patch, original, key)
    if not key:
        raise PatchError("cannot merge lists without merge key")
    known, changes = _directed(_objects(original), _objects(patch), key)
    objects = list(known)
    for item in changes:
        same = _find(objects, key, _key_of(item, key))
        if same < 0:
            objects.append(item)
        else:
            objects[same] = _merge(objects[same], item, type_)
    return _arranged(objects, changes, known, key)


def _objects(items: list[Json]) -> list[JsonObject]:
    return [item for item in items if isinstance(item, dict)]


def _element(items: list[Json]) -> str:
    """What the items of a list are, all the same; empty when there are none."""
    kinds = {_kind(item) for item in items}
    if len(kinds) > 1:
        raise PatchError("list element types are not identical")
    if kinds == {"list"}:
        raise PatchError("lists of lists are not supported")
    return kinds.pop() if kinds else ""


def _directed(
    original: list[JsonObject], patch: list[JsonObject], key: str
) -> tuple[list[JsonObject], list[JsonObject]]:
    """Carry out the items of a patch that are directives."""
    kept, replace = [], False
    for item in patch:
        match item.get(_DIRECTIVE):
            case None if _DIRECTIVE not in item:
                kept.append(item)
            case "delete":
                gone = _key_of(item, key)
                original = [each for each in original if each.get(key) != gone]
            case "replace":
                replace = True
            case other:
                raise PatchError(f"unknown patch type: {v(other)} in map: {v(item)}")
    return (kept, []) if replace else (original, kept)


def _arranged(merged: Sequence[Json], order: Sequence[Json], before: Sequence[Json], key: str) -> list[Json]:
    """The order of the patch; what it does not name keeps its place among what was there."""
    wanted = [_key_of(item, key) for item in order]
    server = [item.get(key) if key and isinstance(item, dict) else item for item in before]

    def place(places: list[Json]) -> Callable[[Json], int]:
        return lambda item: places.index(_key_of(item, key))

    named = sorted((item for item in merged if _key_of(item, key) in wanted), key=place(wanted))
    left: list[Json] = []
    for item in merged:
        if _key_of(item, key) not in wanted:
            left.insert(_after(left, item, server, key), item)
    result: list[Json] = []
    while named and left:
        mine, theirs = _key_of(named[0], key), _key_of(left[0], key)
        first = mine in server and theirs in server and server.index(theirs) < server.index(mine)
        result.append((left if first else named).pop(0))
    return [*result, *named, *left]


def _after(left: list[Json], item: Json, server: list[Json], key: str) -> int:
    """The place of an item in the server's order, as Go's sort finds it when one of them is new."""
    mine, place = _key_of(item, key), len(left)
    while place:
        theirs = _key_of(left[place - 1], key)
        if mine in server and theirs in server and server.index(mine) >= server.index(theirs):
            break
        place -= 1
    return place


def _key_of(item: Json, key: str) -> Json:
    if not key:
        return item
    if not isinstance(item, dict) or key not in item:
        raise PatchError(f"map: {v(item)} does not contain declared merge key: {key}")
    return item[key]


def _find(items: Sequence[JsonObject], key: str, value: Json) -> int:
    return next((place for place, item in enumerate(items) if item.get(key) == value), -1)


# -- kubectl apply ---------------------------------------------------------------------------------------------------


def three_way(
    current: Mapping[str, Json], last: Mapping[str, Json], wanted: Mapping[str, Json], type_: str = ""
) -> JsonObject:
    """``kubectl apply``: what was applied before and is gone now is removed, what others wrote stays.

    ``type_`` is the Go type (:func:`type_of`): lists with a key are merged; without a type they are replaced.
    """
    result = copy.deepcopy(dict(current))
    for key in last:
        if wanted.get(key) is None:
            result.pop(key, None)
    for key, value in wanted.items():
        if value is None:
            result.pop(key, None)
            continue
        target, retain, strategy, merge_key = _field(type_, key)
        before: Json = result.get(key)
        applied: Json = last.get(key)
        if strategy == "replace" or _kind(before) != _kind(value):
            result[key] = copy.deepcopy(value)
        elif isinstance(before, dict) and isinstance(value, dict):
            kept = three_way(before, applied if isinstance(applied, dict) else {}, value, target)
            result[key] = {
                name: item for name, item in kept.items() if name in value or not (retain and value)
            }
        elif strategy == "merge" and isinstance(before, list) and isinstance(value, list):
            applied = applied if isinstance(applied, list) else []
            result[key] = _three_way_list(before, applied, value, target, merge_key, retain)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _three_way_list(
    current: list[Json], last: list[Json], wanted: list[Json], type_: str, key: str, retain: bool
) -> list[Json]:
    keys = [_key_of(item, key) for item in wanted]
    gone = [name for item in last if (name := _key_of(item, key)) not in keys]
    merged = [item for item in current if _key_of(item, key) not in gone]
    if not key:
        merged = list(dict.fromkeys([*merged, *wanted]))
        return _arranged(merged, wanted, current, key)
    objects, applied = _objects(merged), _objects(last)
    for item in _objects(wanted):
        same = _find(objects, key, item[key])
        if same < 0:
            objects.append(copy.deepcopy(item))
            continue
        before = _find(applied, key, item[key])
        kept = three_way(objects[same], applied[before] if before >= 0 else {}, item, type_)
        objects[same] = {name: each for name, each in kept.items() if not retain or name in item}
    return _arranged(objects, wanted, current, key)
