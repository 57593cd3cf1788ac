"""Which earlier result may be taken, and why not: asked by the engine at a lookup and by whoever lists the caches.

A hit must be seen to be true: every reference among the outputs of an entry verifies (the folder is there and has the
recorded digest), and every artifact is in the store with its digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiphys.argo.artifacts import key_of, location_of
from tiphys.errors import StoreError
from tiphys.reference import Reference, verify
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.store import Store

if TYPE_CHECKING:
    from tiphys.argo.types import Artifact, CacheEntry

__all__ = ["Judged", "entries", "problem_of", "references"]

_ELSEWHERE = ("raw", "http", "git")  # not in the store: nothing to look at


@dataclass(frozen=True)
class Judged:
    """An entry of a cache; ``problem`` says why it would not be taken and is empty for a good one. What is under the
    name of a cache and is none has an ``entry`` without a key."""

    entry: CachedResult
    problem: str


def entries(store: Store, *, prefix: str = "") -> Iterator[Judged]:
    """Every entry of the store's caches whose key begins with ``prefix``, by cache and key."""
    with Entries(store) as known:
        for name, error in sorted(known.refused.items()):
            if not prefix:
                yield Judged(CachedResult(name, ""), error.message)
        for entry in known.all(prefix=prefix):
            try:
                problem = problem_of(entry.argo(), store)
            except StoreError as error:
                problem = error.message
            yield Judged(entry, problem)


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


def references(value: object) -> Iterator[Reference]:
    """Every reference in an output's value: the JSON form at any depth, or a bare ``pvc://`` / ``file://`` text."""
    if isinstance(value, str):
        found = Reference.maybe(value)
        if found is not None:
            yield found
        elif value[:1] in ("{", "["):
            try:
                inner = json.loads(value)
            except ValueError:
                return
            yield from references(inner)
    elif isinstance(value, Mapping):
        uri = value.get("uri")
        if isinstance(uri, str) and uri.startswith(("pvc://", "file://")):
            digest = value.get("digest")
            yield Reference(uri, digest if isinstance(digest, str) else "")
        for key, inner in value.items():
            if key != "uri":
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)
