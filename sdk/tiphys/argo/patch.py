"""``kubectl patch``: strategic and JSON merge, and RFC 6902 lists."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

__all__ = ["LAST_APPLIED", "PatchError", "apply_patch", "merge", "three_way"]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

Json = Any
# the lists of strategic merge that are keyed; others are replaced
_KEYED = {
    "containers": "name",
    "env": "name",
    "initContainers": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumes": "name",
}


class PatchError(ValueError):
    """The patch does not fit."""


def apply_patch(item: Mapping[str, Json], patch: Json, strategy: str) -> dict[str, Json]:
    """The object after a patch; the object itself is left alone. Raises PatchError."""
    if strategy == "json":
        result = copy.deepcopy(dict(item))
        if not isinstance(patch, list):
            raise PatchError("a JSON patch must be a list of operations")
        for operation in patch:
            _operate(result, operation)
        return result
    if not isinstance(patch, Mapping):
        raise PatchError("the patch must be an object")
    return dict(merge(dict(item), patch, strategic=strategy == "strategic"))


def three_way(
    current: Mapping[str, Json], last: Mapping[str, Json], wanted: Mapping[str, Json]
) -> dict[str, Json]:
    """``kubectl apply``: what was applied before and is gone now is removed, what others wrote stays."""
    result = copy.deepcopy(dict(current))
    for key in last:
        if key not in wanted:
            result.pop(key, None)
    for key, value in wanted.items():
        before = result.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            applied = last.get(key)
            result[key] = three_way(before, applied if isinstance(applied, Mapping) else {}, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def merge(base: Mapping[str, Json], patch: Mapping[str, Json], *, strategic: bool) -> Mapping[str, Json]:
    """RFC 7396, and for ``strategic`` the keyed lists of pod specs."""
    result = copy.deepcopy(dict(base))
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merge(result[key], value, strategic=strategic)
        elif strategic and key in _KEYED and isinstance(value, list) and isinstance(result.get(key), list):
            result[key] = _merge_list(result[key], value, _KEYED[key])
        else:
            result[key] = copy.deepcopy(value)
    return result


def _merge_list(base: list[Json], patch: list[Json], by: str) -> list[Json]:
    result = copy.deepcopy(base)
    for item in patch:
        same = next((place for place, each in enumerate(result) if each.get(by) == item.get(by)), None)
        if same is None:
            result.append(copy.deepcopy(item))
        elif item.get("$patch") == "delete":
            del result[same]
        else:
            result[same] = merge(result[same], item, strategic=True)
    return result


def _operate(root: Json, operation: Mapping[str, Json]) -> None:
    parts = [
        part.replace("~1", "/").replace("~0", "~") for part in str(operation.get("path", "")).split("/")[1:]
    ]
    verb = operation.get("op")
    if not parts or verb not in ("add", "replace", "remove", "test"):
        raise PatchError(f"unsupported JSON patch operation: {operation}")
    target = root
    try:
        for part in parts[:-1]:
            target = target[int(part)] if isinstance(target, list) else target[part]
        last: Json = parts[-1]
        if isinstance(target, list):
            last = len(target) if last == "-" else int(last)
            if verb == "add":
                target.insert(last, copy.deepcopy(operation.get("value")))
                return
        if verb == "remove":
            del target[last]
        elif verb == "test":
            if target[last] != operation.get("value"):
                raise PatchError(f"testing value {operation.get('path')} failed")
        else:
            if verb == "replace" and not isinstance(target, list) and last not in target:
                raise PatchError(
                    f"replace operation does not apply: doc is missing key: {operation.get('path')}"
                )
            target[last] = copy.deepcopy(operation.get("value"))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, PatchError):
            raise
        raise PatchError(
            f"{verb} operation does not apply: doc is missing path: {operation.get('path')}"
        ) from error
