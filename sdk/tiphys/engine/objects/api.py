"""The objects of a run: a small stand-in for the Kubernetes API, in memory, journaled.

Controllers (TFJob, Deployment, Service, …) are told about each change of their kind's spec, and write status.
"""

from __future__ import annotations

import copy
import itertools
import random
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

from tiphys.argo.answers import ApiError
from tiphys.argo.names import generated_name, invalid, subdomain_problem
from tiphys.argo.paths import bad_keys
from tiphys.argo.selectors import matches_labels, parse_labels
from tiphys.argo.time import rfc3339
from tiphys.engine.objects.kinds import Kind, already_exists, find_kind

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import (
        DeploymentManifest,
        JobSetManifest,
        KubeObject,
        ServiceManifest,
        TFJobManifest,
    )
    from tiphys.argo.pod_types import ObjectMeta

    Object: TypeAlias = KubeObject | TFJobManifest | JobSetManifest | DeploymentManifest | ServiceManifest

__all__ = ["Api"]


_KEPT = ("metadata", "status", "kind", "apiVersion")
_CHANGEABLE = ("labels", "annotations", "ownerReferences", "finalizers")  # of an object's metadata


def _write(place: Object | ObjectMeta, fields: Mapping[str, object]) -> None:
    """Which fields there are is for each kind to say."""
    cast("dict[str, object]", place).update(copy.deepcopy({**fields}))


def _check_names(item: KubeObject, kind: Kind, name: str) -> None:
    """Names become those of files. Raises ApiError Invalid."""
    problems = [("metadata.name", name, subdomain_problem(name))]
    problems += [(f"{path[0]}[{key}]", key, problem) for path, key, problem in bad_keys(item)]
    for where, value, problem in problems:
        if problem:
            raise ApiError("Invalid", invalid(kind.kind, name, where, value, problem))


class Api:
    """Create, get, list, replace, delete; with uid, resourceVersion, generation."""

    def __init__(self, namespace: str, now: Callable[[], float]) -> None:
        self.namespace = namespace
        self._now = now
        self._objects: dict[tuple[str, str], KubeObject] = {}
        self._versions = itertools.count(1)
        self._watchers: list[Callable[[str, KubeObject], None]] = []
        self._letters = random.Random()
        self.admit: Callable[[KubeObject], None] = lambda item: None  # before a new object is stored

    def watch(self, watcher: Callable[[str, KubeObject], None]) -> None:
        """Call ``watcher(change, object)`` for each ``added``, ``spec``, ``status`` and ``deleted``."""
        self._watchers.append(watcher)

    def get(self, kind: str, name: str) -> KubeObject | None:
        return self._objects.get((kind, name))

    def need(self, kind: Kind, name: str) -> KubeObject:
        """The object. Raises ApiError NotFound."""
        found = self.get(kind.kind, name)
        if found is None:
            raise ApiError("NotFound", f'{kind.resource} "{name}" not found')
        return found

    def find(self, kind: str, selector: str = "") -> list[KubeObject]:
        """All objects of a kind whose labels match, by name. Raises RefusedError TIP266."""
        wanted = parse_labels(selector)
        return [
            item
            for (each, _), item in sorted(self._objects.items())
            if each == kind and matches_labels(wanted, item["metadata"].get("labels"))
        ]

    def named(self, manifest: KubeObject) -> KubeObject:
        """The object with a name: admission looks at the one that is made of ``generateName``.

        Raises ApiError Invalid when it has neither.
        """
        item = copy.deepcopy(manifest)
        metadata: ObjectMeta = item.get("metadata") or {}
        item["metadata"] = metadata
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                raise ApiError("Invalid", "resource name may not be empty")
            metadata["name"] = generated_name(str(metadata["generateName"]), self._letters)
        return item

    def create(self, manifest: KubeObject) -> KubeObject:
        """Add an object. Raises ApiError AlreadyExists, and what :attr:`admit` raises."""
        item = self.named(manifest)
        kind = find_kind(str(item["kind"]))
        assert kind is not None
        metadata = item["metadata"]
        name = str(metadata["name"])
        if (kind.kind, name) in self._objects:
            raise already_exists(item)
        _check_names(item, kind, name)
        metadata["namespace"] = self.namespace
        metadata["uid"] = str(uuid.UUID(int=self._letters.getrandbits(128), version=4))
        metadata["creationTimestamp"] = rfc3339(self._now())
        metadata["resourceVersion"] = str(next(self._versions))
        metadata["generation"] = 1
        self.admit(item)
        self._objects[kind.kind, name] = item
        self._tell("added", item)
        return item

    def restore(self, item: KubeObject) -> None:
        """Put an object back after a resume, without telling anybody."""
        self._objects[str(item["kind"]), str(item["metadata"]["name"])] = item

    def replace(self, item: KubeObject, manifest: KubeObject) -> bool:
        """Give an object another spec, labels, annotations, data; whether anything changed."""
        before = copy.deepcopy(item)
        _write(item, {key: value for key, value in manifest.items() if key not in _KEPT})
        given = (manifest.get("metadata") or {}).items()
        own = {key: value for key, value in given if key in _CHANGEABLE and value is not None}
        _write(item["metadata"], own)
        if item == before:
            return False
        if item.get("spec") != before.get("spec"):
            item["metadata"]["generation"] = int(item["metadata"].get("generation") or 1) + 1
        self._bump(item)
        self._tell("spec", item)
        return True

    def status(self, item: Object, status: Mapping[str, object]) -> None:
        """Write an object's status."""
        if item.get("status") == status:
            return
        _write(item, {"status": dict(status)})
        self._bump(item)
        self._tell("status", item)

    def delete(self, kind: str, name: str) -> bool:
        """Remove an object; whether it was there."""
        item = self._objects.pop((kind, name), None)
        if item is None:
            return False
        self._tell("deleted", item)
        return True

    def _bump(self, item: Object) -> None:
        item["metadata"]["resourceVersion"] = str(next(self._versions))

    def _tell(self, change: str, item: Object) -> None:
        for watcher in list(self._watchers):
            watcher(change, cast("KubeObject", item))
