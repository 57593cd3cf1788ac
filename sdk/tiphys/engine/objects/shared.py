"""ConfigMaps that outlive runs: those of the registry of models are in the store, and every run sees the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tiphys.argo.answers import ApiError
from tiphys.engine.objects.kinds import Kind, already_exists
from tiphys.registry.configmap import DOCUMENT, text_map
from tiphys.registry.names import named_by

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import KubeObject
    from tiphys.store.layout import Store
    from tiphys.store.registry import LocalRegistry

__all__ = ["conflict", "get_shared", "is_shared", "put_shared"]


def conflict(kind: Kind, name: str) -> ApiError:
    """What the API server says to who was late."""
    return ApiError(
        "Conflict",
        f'Operation cannot be fulfilled on {kind.resource} "{name}": the object has been modified; please apply your '
        "changes to the latest version and try again",
    )


def is_shared(kind: Kind, name: str) -> bool:
    """Whether an object is one of the store, not of the run."""
    return kind.kind == "ConfigMap" and named_by(name) is not None


def get_shared(store: Store, kind: Kind, name: str) -> KubeObject:
    """The object. Raises ApiError NotFound."""
    found = _get(_registry(store), name)
    if found is None:
        raise ApiError("NotFound", f'{kind.resource} "{name}" not found')
    return found


def put_shared(store: Store, kind: Kind, action: str, manifest: KubeObject) -> KubeObject:
    """Create, apply or replace it. Raises ApiError as the API server does, StoreError TIP461 for no document."""
    registry, name = _registry(store), str(manifest["metadata"]["name"])
    current = _get(registry, name)
    if action == "create" and current is not None:
        raise already_exists(manifest)
    if action == "replace" and current is None:
        raise ApiError("NotFound", f'{kind.resource} "{name}" not found')
    data = cast("dict[str, dict[str, str]]", manifest).get("data")
    if current is not None and data is None:  # of an applied one what is not said stays
        return current
    text, model = str((data or {}).get(DOCUMENT) or ""), named_by(name)
    assert model is not None
    if model[1]:
        if not registry.put_page(*model, text):
            raise ApiError("Invalid", f"data: Forbidden: field is immutable when `immutable` is set ({name})")
    else:
        asked = str(manifest["metadata"].get("resourceVersion") or "")
        if registry.put_text(model[0], text, asked if current is not None else None) is None:
            raise conflict(kind, name) if current is not None else already_exists(manifest)
    return get_shared(store, kind, name)


def _registry(store: Store) -> LocalRegistry:
    from tiphys.store.registry import LocalRegistry  # with its documents; few runs have one

    return LocalRegistry(store)


def _get(registry: LocalRegistry, name: str) -> KubeObject | None:
    model = named_by(name)
    assert model is not None
    if model[1]:
        text, version = registry.page(*model), "1"
    else:
        text, version = registry.text(model[0]) or (None, "")
    if text is None:
        return None
    return cast("KubeObject", text_map(name, model[0], text, version))
