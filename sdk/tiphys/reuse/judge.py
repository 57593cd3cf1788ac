"""Which earlier result may be taken, and why not: asked by the engine at a lookup and by whoever lists the caches.

A hit must be seen to be true: every reference among the outputs of an entry verifies (the folder is there and has the
recorded digest), and every artifact is in the store with its digest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tiphys.argo.artifacts import key_of, location_of
from tiphys.errors import StoreError
from tiphys.reference import references, verify
from tiphys.store import Store
from tiphys.store.configmaps import entry_of

if TYPE_CHECKING:
    from tiphys.argo.types import Artifact, CacheEntry

__all__ = ["Judged", "entries", "problem_of"]

_ELSEWHERE = ("raw", "http", "git")  # not in the store: nothing to look at


def _unreadable() -> CacheEntry:
    return {}


@dataclass(frozen=True)
class Judged:
    """An entry of a cache; ``problem`` says why it would not be taken and is empty for a good one.

    ``entry`` is the object in the ConfigMap (nodeID, outputs, creationTimestamp, lastHitTimestamp), empty when it
    cannot be read.
    """

    cache: str
    key: str
    problem: str
    entry: CacheEntry = field(default_factory=_unreadable)


def entries(store: Store) -> list[Judged]:
    """Every entry of the store's caches, by cache and key."""
    found = []
    for name in store.configmaps.names():
        config = store.configmaps.get(name) or {}
        for key in sorted(config.get("data") or {}):
            try:
                entry = entry_of(config, name, key)
            except StoreError as error:
                found.append(Judged(name, key, error.message))
                continue
            if entry is not None:
                found.append(Judged(name, key, problem_of(entry, store), entry))
    return found


def problem_of(entry: CacheEntry, store: Store) -> str:
    """Why an entry's outputs cannot be trusted, or an empty string."""
    outputs = entry.get("outputs") or {}
    volumes = store.volumes()
    values: list[str | None] = [item.get("value") for item in outputs.get("parameters") or []]
    seen = set()
    for value in [*values, outputs.get("result")]:
        for reference in references(value):
            if reference not in seen:
                seen.add(reference)
                problem = verify(reference, volumes)
                if problem:
                    return problem
    for artifact in outputs.get("artifacts") or []:
        problem = _artifact(artifact, store)
        if problem:
            return problem
    return ""


def _artifact(artifact: Artifact, store: Store) -> str:
    found = location_of(artifact)
    if found is None or found[0] in _ELSEWHERE:
        return ""
    key = key_of(artifact)
    digest = store.bucket.digest(key)
    if not digest:
        if any(store.bucket.keys(key.rstrip("/") + "/")):
            return ""
        return f"artifact {artifact.get('name')} ({key}) is gone"
    problem = store.artifacts.verify(digest)
    return f"artifact {artifact.get('name')}: {problem}" if problem else ""
