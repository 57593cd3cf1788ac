"""The objects of a run: a small stand-in for the Kubernetes API, in memory, journaled.

Controllers (TFJob, Deployment, Service, …) are told about each change of their kind's spec, and write status.
"""

from __future__ import annotations

import copy
import itertools
import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from tiphys.argo.answers import ApiError
from tiphys.argo.names import generated_name
from tiphys.argo.selectors import matches_labels, parse_labels
from tiphys.argo.time import rfc3339
from tiphys.engine.objects.kinds import Kind, already_exists, find_kind

__all__ = ["Api"]

Json = Any
Change = Callable[[str, dict[str, Json]], None]


class Api:
    """Create, get, list, replace, delete; with uid, resourceVersion, generation."""

    def __init__(self, namespace: str, now: Callable[[], float]) -> None:
        self.namespace = namespace
        self._now = now
        self._objects: dict[tuple[str, str], dict[str, Json]] = {}
        self._versions = itertools.count(1)
        self._watchers: list[Change] = []
        self._letters = random.Random()
        self.admit: Callable[[dict[str, Json]], None] = lambda item: None  # before a new object is stored

    def watch(self, watcher: Change) -> None:
        """Call ``watcher(change, object)`` for each ``added``, ``spec``, ``status`` and ``deleted``."""
        self._watchers.append(watcher)

    def get(self, kind: str, name: str) -> dict[str, Json] | None:
        return self._objects.get((kind, name))

    def need(self, kind: Kind, name: str) -> dict[str, Json]:
        """The object. Raises ApiError NotFound."""
        found = self.get(kind.kind, name)
        if found is None:
            raise ApiError("NotFound", f'{kind.resource} "{name}" not found')
        return found

    def find(self, kind: str, selector: str = "") -> list[dict[str, Json]]:
        """All objects of a kind whose labels match, by name. Raises RefusedError TIP266."""
        wanted = parse_labels(selector)
        return [
            item
            for (each, _), item in sorted(self._objects.items())
            if each == kind and matches_labels(wanted, item["metadata"].get("labels"))
        ]

    def named(self, manifest: Mapping[str, Json]) -> dict[str, Json]:
        """The object with a name: admission looks at the one that is made of ``generateName``.

        Raises ApiError Invalid when it has neither.
        """
        item = copy.deepcopy(dict(manifest))
        metadata = item["metadata"] = dict(item.get("metadata") or {})
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                raise ApiError("Invalid", "resource name may not be empty")
            metadata["name"] = generated_name(str(metadata["generateName"]), self._letters)
        return item

    def create(self, manifest: Mapping[str, Json]) -> dict[str, Json]:
        """Add an object. Raises ApiError AlreadyExists, and what :attr:`admit` raises."""
        item = self.named(manifest)
        kind = find_kind(str(item["kind"]))
        assert kind is not None
        metadata = item["metadata"]
        name = str(metadata["name"])
        if (kind.kind, name) in self._objects:
            raise already_exists(item)
        metadata.update(
            namespace=self.namespace,
            uid=str(uuid.UUID(int=self._letters.getrandbits(128), version=4)),
            creationTimestamp=rfc3339(self._now()),
            resourceVersion=str(next(self._versions)),
            generation=1,
        )
        self.admit(item)
        self._objects[kind.kind, name] = item
        self._tell("added", item)
        return item

    def restore(self, item: dict[str, Json]) -> None:
        """Put an object back after a resume, without telling anybody."""
        self._objects[str(item["kind"]), str(item["metadata"]["name"])] = item

    def replace(self, item: dict[str, Json], manifest: Mapping[str, Json]) -> bool:
        """Give an object another spec, labels, annotations, data; whether anything changed."""
        before = copy.deepcopy(item)
        for key, value in manifest.items():
            if key not in ("metadata", "status", "kind", "apiVersion"):
                item[key] = copy.deepcopy(value)
        for key in ("labels", "annotations", "ownerReferences", "finalizers"):
            if (value := (manifest.get("metadata") or {}).get(key)) is not None:
                item["metadata"][key] = copy.deepcopy(value)
        if item == before:
            return False
        if item.get("spec") != before.get("spec"):
            item["metadata"]["generation"] = int(item["metadata"].get("generation") or 1) + 1
        self._bump(item)
        self._tell("spec", item)
        return True

    def status(self, item: dict[str, Json], status: Mapping[str, Json]) -> None:
        """Write an object's status."""
        if item.get("status") == status:
            return
        item["status"] = copy.deepcopy(dict(status))
        self._bump(item)
        self._tell("status", item)

    def delete(self, kind: str, name: str) -> bool:
        """Remove an object; whether it was there."""
        item = self._objects.pop((kind, name), None)
        if item is None:
            return False
        self._tell("deleted", item)
        return True

    def _bump(self, item: dict[str, Json]) -> None:
        item["metadata"]["resourceVersion"] = str(next(self._versions))

    def _tell(self, change: str, item: dict[str, Json]) -> None:
        for watcher in list(self._watchers):
            watcher(change, item)
