"""Memoization: the driver's side of ``LookupCache`` and ``StoreCache``. A hit must be seen to be true.

An entry is given to the core only when every reference among its outputs verifies (the folder is there and has
the recorded digest) and every artifact is in the store with its digest; otherwise it is a miss, and the observer
hears why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tiphys.engine.base.observations import CacheChecked
from tiphys.engine.machine.protocol import CacheAnswer, CacheStored, Event, LookupCache, StoreCache
from tiphys.engine.pods.artifacts import key_of, location_of
from tiphys.engine.pods.host import Host
from tiphys.errors import StoreError
from tiphys.reference import Reference, verify
from tiphys.store import CACHE_LABEL

__all__ = ["Memoizer", "distrust", "references"]

Json = Any


def references(value: Json) -> Iterator[Reference]:
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


def distrust(host: Host, entry: Mapping[str, Json]) -> str:
    """Why a cache entry's outputs cannot be trusted, or an empty string."""
    outputs = entry.get("outputs") or {}
    volumes = host.store.volumes()
    values = [item.get("value") for item in outputs.get("parameters") or []]
    seen = set()
    for value in [*values, outputs.get("result")]:
        for reference in references(value):
            if reference not in seen:
                seen.add(reference)
                problem = verify(reference, volumes)
                if problem:
                    return problem
    bucket = host.store.bucket
    for artifact in outputs.get("artifacts") or []:
        found = location_of(artifact)
        if found is None or found[0] in ("raw", "http", "git"):
            continue
        key = key_of(artifact)
        digest = bucket.digest(key)
        if not digest:
            if any(bucket.keys(key.rstrip("/") + "/")):
                continue
            return f"artifact {artifact.get('name')} ({key}) is gone"
        problem = host.store.artifacts.verify(digest)
        if problem:
            return f"artifact {artifact.get('name')}: {problem}"
    return ""


class Memoizer:
    """Answers cache commands; ``emit`` takes the events."""

    def __init__(self, host: Host, emit: Callable[[Event], None]) -> None:
        self._host = host
        self._emit = emit

    def lookup(self, command: LookupCache) -> None:
        """Read an entry; verifying it is work for a thread."""
        host, loop = self._host, self._host.loop
        try:
            self._seed(command.cache_name)
            entry = host.store.configmaps.lookup(command.cache_name, command.key, now=loop.now())
        except StoreError as error:
            self._emit(CacheAnswer(loop.now(), command.node_id, None, error.message))
            return
        if entry is None:
            self._answer(command, None, "")
            return
        found = entry

        def done(problem: str) -> None:
            self._answer(command, None if problem else found, problem)

        loop.in_thread(lambda: distrust(host, found), done, lambda error: done(str(error)))

    def store(self, command: StoreCache) -> None:
        """Write an entry."""
        host, now, error = self._host, self._host.loop.now(), ""
        try:
            self._seed(command.cache_name)
            host.store.configmaps.save(
                command.cache_name,
                command.key,
                node_id=command.node_id,
                outputs=command.outputs,
                now=now,
                namespace=host.namespace,
            )
        except StoreError as problem:
            error = problem.message
            if problem.code == "TIP422":
                error = (
                    f"error creating cache entry: {error} Please check out this page for help: "
                    "https://argo-workflows.readthedocs.io/en/latest/memoization/#faqs"
                )
        self._emit(CacheStored(now, command.node_id, error))

    def _answer(self, command: LookupCache, entry: Mapping[str, Json] | None, why: str) -> None:
        now = self._host.loop.now()
        hit = entry is not None
        self._host.tell(CacheChecked(now, command.node_id, command.cache_name, command.key, hit, why))
        self._emit(CacheAnswer(now, command.node_id, entry))

    def _seed(self, name: str) -> None:
        """A ConfigMap that was given with the workflow is the cache's first state."""
        given = self._host.objects.raw("ConfigMap", name)
        if given is not None and self._host.store.configmaps.get(name) is None:
            labels = (given.get("metadata") or {}).get("labels") or {}
            if labels.get(CACHE_LABEL) != "Cache":
                label = f"{CACHE_LABEL}=Cache" if CACHE_LABEL in labels else CACHE_LABEL
                raise StoreError(
                    "TIP423",
                    f"memoization configmap doesn't have {label} label, refusing to use it",
                    where=f"ConfigMap {name}",
                )
            self._host.store.configmaps.change(name, lambda current: current or dict(given))
