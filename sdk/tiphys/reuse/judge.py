"""Which earlier result may be taken, and why not: asked by the engine at a lookup and by whoever lists the caches.

A hit must be seen to be true: every reference among the outputs of an entry verifies (the folder is there and has the
recorded digest), and every artifact is in the store with its digest. Only what may have changed since it was last seen
is hashed again.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.memo import too_old
from tiphys.argo.time import rfc3339
from tiphys.errors import StoreError
from tiphys.frozen import frozen
from tiphys.reference import MANIFEST, Reference, contents, pointed, resolve, verify
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.seen import Seen
from tiphys.store import Store
from tiphys.store.bucket import stored_key

if TYPE_CHECKING:
    from tiphys.argo.types import Artifact, Outputs

__all__ = ["Judge", "Judged", "entries", "held_by"]


@frozen
class Judged:
    """An entry of a cache; ``problem`` says why it would not be taken and is empty for a good one. What is under the
    name of a cache and is none has an ``entry`` without a key."""

    entry: CachedResult
    problem: str


class Judge:
    """Says of entries whether they would be taken; ``clock`` gives the time in seconds since the epoch."""

    def __init__(self, store: Store, known: Entries, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._seen = Seen(known.file, clock=clock)
        self._clock = clock

    def problem(self, entry: CachedResult, max_age: str | None = None, *, at: float | None = None) -> str:
        """Why an entry cannot be taken, or an empty string. ``max_age``: of the step that asked ``at`` this time; by
        default of the one that made the entry, now. Raises StoreError, in Argo's words, for an entry that cannot be
        read."""
        outputs = entry.argo().get("outputs") or {}
        if not entry.node:
            return "it does not say which node made it"
        now = self._clock() if at is None else at
        problem = self._age(entry, entry.max_age if max_age is None else max_age, now)
        if problem:
            return problem
        volumes = self._store.volumes()
        with self._seen.looking() as digest:
            for reference in _pointed(outputs, volumes):
                problem = verify(reference, volumes, digest=digest)
                if problem:
                    return problem
            for artifact in outputs.get("artifacts") or []:
                problem = self._artifact(artifact, digest)
                if problem:
                    return problem
        return ""

    def judged(self, entry: CachedResult) -> Judged:
        """An entry with its problem, a text that cannot be read among them."""
        try:
            return Judged(entry, self.problem(entry))
        except StoreError as error:
            return Judged(entry, error.message)

    @staticmethod
    def _age(entry: CachedResult, max_age: str, now: float) -> str:
        try:
            if not too_old(entry.created, max_age, now):
                return ""
        except ValueError:
            return ""  # the step that asks ends in Error
        when = "at a time that nobody knows" if entry.created is None else f"at {rfc3339(entry.created)}"
        return f"it is older than the {max_age} that its step allows: made {when}"

    def _artifact(self, artifact: Artifact, digest: Callable[[Path], str]) -> str:
        key = stored_key(artifact)
        if key is None:
            return ""
        recorded = self._store.bucket.digest(key)
        if not recorded:
            if any(self._store.bucket.keys(key.rstrip("/") + "/")):
                return ""
            return f"artifact {artifact.get('name')} ({key}) is gone"
        problem = self._store.artifacts.verify(recorded, read=digest)
        return f"artifact {artifact.get('name')}: {problem}" if problem else ""


def entries(store: Store, *, prefix: str = "") -> Iterator[Judged]:
    """Every entry of the store's caches whose key begins with ``prefix``, by cache and key."""
    with Entries(store) as known:
        for name, error in sorted(known.refused.items()):
            if not prefix:
                yield Judged(CachedResult(name, ""), error.message)
        judge = Judge(store, known)
        yield from map(judge.judged, known.all(prefix=prefix))


def held_by(outputs: Outputs, store: Store) -> dict[str, int]:
    """The bytes of the sealed folders, files and artifacts that outputs point to, as their manifests and keys say, by
    the name under which several entries hold one."""
    held: dict[str, int] = {}
    volumes = store.volumes()
    for reference in _pointed(outputs, volumes):
        with contextlib.suppress(StoreError, OSError, ValueError, KeyError, TypeError, AttributeError):
            place = resolve(reference.uri, volumes)
            if place.is_file():  # a long value
                held[reference.uri] = place.stat().st_size
                continue
            manifest = json.loads(contents(place / MANIFEST))
            held[reference.uri] = sum(int(file["size"]) for file in manifest["files"].values())
    for artifact in outputs.get("artifacts") or []:
        key = stored_key(artifact) or ""
        if size := store.bucket.size(key):
            held[store.bucket.digest(key) or f"artifact {key}"] = size
    return held


def _pointed(outputs: Outputs, volumes: Mapping[str, str]) -> list[Reference]:
    """The references among the values of outputs, each once."""
    values: list[str | None] = [item.get("value") for item in outputs.get("parameters") or []]
    found = (reference for value in [*values, outputs.get("result")] for reference in pointed(value, volumes))
    return list(dict.fromkeys(found))
