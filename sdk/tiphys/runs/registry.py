"""The registry of models: of this machine's store, or of a cluster's namespace."""

from __future__ import annotations

import builtins
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tiphys.argo.time import rfc3339
from tiphys.errors import ClusterError, RefusedError, StoreError, did_you_mean
from tiphys.queue.rules import this_user
from tiphys.reference import Reference, verify
from tiphys.registry import changes
from tiphys.registry.document import AuditRow, ModelDocument, ModelVersion
from tiphys.registry.routes import CHAMPION
from tiphys.store.layout import Store
from tiphys.store.registry import LocalRegistry

if TYPE_CHECKING:
    from tiphys.runs.client import Client
    from tiphys.runs.cluster.registry import ClusterRegistry

__all__ = ["Registry", "RegistryKept", "registered"]


class RegistryKept(Protocol):
    """Where documents are."""

    @property
    def place(self) -> str: ...

    def names(self) -> builtins.list[str]: ...

    def read(self, name: str) -> ModelDocument: ...

    def change(self, name: str, what: Callable[[ModelDocument], ModelDocument]) -> ModelDocument: ...

    def audit(self, name: str) -> builtins.list[AuditRow]: ...


def registered(kept: RegistryKept, name: str) -> ModelDocument:
    """All of a model. Raises RefusedError TIP261 for one that there is not."""
    found = kept.read(name)
    if not found.versions:
        raise RefusedError(
            "TIP261",
            f"there is no model {name!r} in the registry.{did_you_mean(name, kept.names())}",
            where=kept.place,
            fix=f"register a version of it: tiphys models register {name} URI",
        )
    return found


class Registry:
    """Names of models, their versions, and the aliases under which they are served.

    ``Registry(".tiphys")`` is that of a store, ``Registry(client=Client(...))`` that of a cluster's namespace: a
    ConfigMap for each model. Who writes at the same time waits or does it again; no change is lost, and each is in the
    audit.

    >>> registry = Registry(".tiphys")                                                       # doctest: +SKIP
    >>> version = registry.register("fashion-mnist", "pvc://tiphys/models/cnn-3f2a")
    >>> registry.alias("fashion-mnist", "champion", version.number, why="accuracy 0.93")
    >>> registry.rollback("fashion-mnist", "champion")

    Raises RefusedError: TIP260 for a name that is not legal, TIP261 for a version, an alias or a model that there is
    not, TIP263 when the folder of a version is gone or was changed (on this machine, where it can be looked at).
    """

    def __init__(
        self, store: str | PathLike[str] = ".tiphys", *, client: Client | None = None, who: str = ""
    ) -> None:
        self._store = Store(Path(store))
        self._who = who or os.environ.get("TIPHYS_USER", "") or this_user()
        self._cluster = None if client is None else _of(client)
        self._kept: RegistryKept = self._cluster or LocalRegistry(self._store)
        self._local = client is None

    @property
    def place(self) -> str:
        """Where it is, for a person."""
        return self._kept.place

    def names(self) -> builtins.list[str]:
        """The models of which something is registered."""
        return self._kept.names()

    def read(self, name: str) -> ModelDocument:
        """All of a model, empty where nothing is registered."""
        return self._kept.read(name)

    def get(self, name: str) -> ModelDocument:
        """All of a model: versions, aliases, weights. Raises RefusedError TIP261 for one that there is not."""
        return registered(self._kept, name)

    def version(self, name: str, which: int | str) -> ModelVersion:
        """The version with this number, or that an alias names."""
        return self.get(name).find(str(which))

    def register(
        self,
        name: str,
        uri: str,
        *,
        digest: str = "",
        run: str = "",
        report: Mapping[str, float | str] | None = None,
    ) -> ModelVersion:
        """The next version of a model, or the one that this folder with this digest is already.

        On this machine the folder is looked at: its digest is taken when none is given. Raises RefusedError TIP263 when
        it is not what the digest says, TIP268 for a report that is too long.
        """
        digest = self._digest(name, uri, digest)
        made: builtins.list[ModelVersion] = []

        def with_it(document: ModelDocument) -> ModelDocument:
            fresh, version = changes.register(document, uri, digest, self._by(""), run=run, report=report)
            made[:] = [version]
            return fresh

        self._kept.change(name, with_it)
        return made[0]

    def alias(self, name: str, alias: str, version: int | None, *, why: str = "") -> ModelDocument:
        """Let an alias name a version; None takes it away."""
        by, problem = self._by(why), self._problem_of(name, alias)
        return self._moved(
            name, alias, lambda was: changes.to_alias(was, alias, version, by, problem=problem)
        )

    def rollback(self, name: str, alias: str, *, why: str = "") -> ModelDocument:
        """Where the alias was before the last move that was not taken back. Raises RefusedError TIP262, too."""
        by, problem = self._by(why), self._problem_of(name, alias)
        return self._moved(name, alias, lambda was: changes.rollback(was, alias, by, problem=problem))

    def weights(self, name: str, weights: Mapping[int, int], *, why: str = "") -> ModelDocument:
        """Parts of a hundred requests, by version; none: all go to the champion. Raises RefusedError TIP264."""
        by = self._by(why)
        return self._changed(name, lambda was: changes.put_weights(was, weights, by))

    def default(self, name: str, version: int | None, *, why: str = "") -> ModelDocument:
        """The version that answers when what is served cannot; None: the one that was served before."""
        by = self._by(why)
        return self._changed(name, lambda was: changes.put_default(was, version, by))

    def audit(self, name: str) -> builtins.list[AuditRow]:
        """Every change there was, the first one first."""
        self.get(name)
        return self._kept.audit(name)

    def problem(self, version: ModelVersion) -> str:
        """Why a version cannot be served (its folder is gone, or was changed); empty when it can, or where nobody can
        look."""
        return self._problem(version)

    def _moved(self, name: str, alias: str, what: Callable[[ModelDocument], ModelDocument]) -> ModelDocument:
        document = self._changed(name, what)
        if self._cluster is not None and alias == CHAMPION:
            self._cluster.point(name, alias)
        return document

    def _problem_of(self, name: str, alias: str) -> Callable[[ModelVersion], str]:
        """On a cluster the volumes cannot be looked at, and the replicas can."""
        cluster = self._cluster
        if cluster is None:
            return self._problem
        if alias != CHAMPION:
            return lambda version: ""
        return lambda version: cluster.unready(name, version.number)

    def _changed(self, name: str, what: Callable[[ModelDocument], ModelDocument]) -> ModelDocument:
        def checked(document: ModelDocument) -> ModelDocument:
            return what(document if document.versions else self.get(name))

        return self._kept.change(name, checked)

    def _by(self, why: str) -> changes.By:
        return changes.By(self._who, rfc3339(time.time()), why)

    def _digest(self, name: str, uri: str, digest: str) -> str:
        if not self._local:
            if not digest:
                raise RefusedError(
                    "TIP263",
                    f"{uri} cannot be registered as a version of {name} without its digest",
                    cause="the volumes of a cluster cannot be looked at from here",
                    fix="give --digest sha256:…, or let the pipeline register what it makes",
                )
            return digest
        if not digest:
            from tiphys.reference import MANIFEST, file_digest, resolve

            with contextlib.suppress(StoreError, OSError):  # verify says what is wrong
                digest = file_digest(resolve(uri, self._store.volumes()) / MANIFEST)
        if problem := verify(Reference(uri, digest), self._store.volumes()):
            raise RefusedError("TIP263", f"{uri} cannot be a version of {name}", cause=problem)
        return digest

    def _problem(self, version: ModelVersion) -> str:
        if not self._local:
            return ""
        return verify(Reference(version.uri, version.digest), self._store.volumes())


def _of(client: Client) -> ClusterRegistry:
    from tiphys.runs.cluster.kubernetes import Kubernetes
    from tiphys.runs.cluster.registry import ClusterRegistry

    if not isinstance(client.backend, Kubernetes):
        raise ClusterError(
            "TIP611",
            "the registry of a cluster is reached through the Kubernetes API only",
            cause="the Argo Server knows nothing of ConfigMaps",
            fix="give --kubeconfig or --context; of this machine: --store",
        )
    return ClusterRegistry(client.backend, client.namespace)
