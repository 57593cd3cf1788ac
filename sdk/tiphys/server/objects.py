"""What somebody keeps in a store: templates, CronWorkflows and ConfigMaps, a file for each.

The collection has the numbers of the board (:class:`tiphys.server.board.Board`): one count for the whole store.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tiphys.argo.time import rfc3339
from tiphys.reference import contents
from tiphys.server.answers import RequestError
from tiphys.server.board import Board, BoardChange, ExpiredError
from tiphys.server.collections import Wholes
from tiphys.store.files import clear, write_json

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.argo.types import GivenObject, Workflow

__all__ = ["ARGO", "KeptObjects"]


ARGO = "argoproj.io/v1alpha1"
"""The version of Argo's own resources."""


class KeptObjects(Wholes):
    """The objects of one resource. ``namespaced``: they are of the store's namespace, else of none; ``called``: what
    errors call the resource."""

    def __init__(
        self, board: Board, resource: str, kind: str, *, namespaced: bool = True, api: str = ARGO
    ) -> None:
        self.board, self.resource, self.kind, self.api = board, resource, kind, api
        self.called = f"{resource}.argoproj.io" if api == ARGO else resource
        self.namespaced = namespaced
        self._folder = board.store.objects(resource)
        self._guard = threading.RLock()
        self._objects: dict[str, Workflow] = {}
        self._born: dict[str, int] = {}
        self._gone: dict[str, BoardChange] = {}
        self._first = board.number
        for path in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else ():
            self._show(path.stem, json.loads(contents(path)))

    @property
    def number(self) -> int:
        """Of the last change in the store."""
        return self.board.number

    def briefs(self) -> tuple[int, list[Workflow]]:
        """The number of the last change, and all objects, by name."""
        with self._guard:
            return self.board.number, [self._objects[name] for name in sorted(self._objects)]

    def get(self, name: str) -> Workflow | None:
        """An object."""
        return self._objects.get(name)

    def changes(self, since: int) -> Iterator[BoardChange]:
        """As :meth:`tiphys.server.board.Board.changes`."""
        with self._guard:
            if since < self._first:
                raise ExpiredError
            found = [each for each in self._gone.values() if each.number > since]
            for name, item in self._objects.items():
                number = int(item["metadata"]["resourceVersion"])
                if number > since:
                    kind = "ADDED" if self._born[name] > since else "MODIFIED"
                    found.append(BoardChange(number, kind, name, item))
        yield from sorted(found, key=lambda change: change.number)

    def hear(self, heard: Callable[[], None]) -> Callable[[], None]:
        """As :meth:`tiphys.server.board.Board.hear`."""
        return self.board.hear(heard)

    # -- changing ---------------------------------------------------------------------------------------------

    def create(self, given: GivenObject) -> Workflow:
        """Keep a new object. Raises RequestError 409 where there is one of its name."""
        with self._guard:
            name = str((given.get("metadata") or {}).get("name") or "")
            if name in self._objects:
                raise RequestError(409, f'{self.called} "{name}" already exists', "AlreadyExists")
            return self._write(name, given, str(uuid.uuid4()), "")

    def replace(self, name: str, given: GivenObject) -> Workflow:
        """Write another in its place. Raises RequestError 404, and 409 where it has changed since it was read."""
        with self._guard:
            before = self._known(name)["metadata"]
            version = str((given.get("metadata") or {}).get("resourceVersion") or "")
            if version and version != before["resourceVersion"]:
                raise RequestError(
                    409,
                    f'Operation cannot be fulfilled on {self.called} "{name}": the object has been '
                    "modified; please apply your changes to the latest version and try again",
                )
            return self._write(name, given, before["uid"], str(before["creationTimestamp"]))

    def amend(self, name: str, change: Callable[[Workflow], Workflow]) -> None:
        """Write what ``change`` makes of an object, if that is another; nothing for one that is not there."""
        with self._guard:
            before = self._objects.get(name)
            if before is None:
                return
            after = change(before)
            if after != before:
                self._write(
                    name,
                    cast("GivenObject", after),
                    before["metadata"]["uid"],
                    str(before["metadata"]["creationTimestamp"]),
                )

    def delete(self, name: str) -> Workflow:
        """Remove an object. Raises RequestError 404."""
        with self._guard:
            last = self._known(name)
            self._path(name).unlink(missing_ok=True)
            del self._objects[name]
            number = self.board.count()
            self._gone[name] = BoardChange(number, "DELETED", name, last)
            return last

    def _known(self, name: str) -> Workflow:
        if name not in self._objects:
            raise RequestError(404, f'{self.called} "{name}" not found')
        return self._objects[name]

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _write(self, name: str, given: GivenObject, uid: str, created: str) -> Workflow:
        with clear(self._folder, "make"):
            self._folder.mkdir(parents=True, exist_ok=True)
        metadata = {**(given.get("metadata") or {}), "uid": uid}
        metadata["creationTimestamp"] = created or rfc3339(time.time())
        metadata.pop("resourceVersion", None)
        item = {
            **given,
            "apiVersion": self.api,
            "kind": self.kind,
            "metadata": metadata,
        }
        write_json(self._path(name), item)
        return self._show(name, item)

    def _show(self, name: str, item: dict[str, object]) -> Workflow:
        number = self.board.count()
        shown = cast("Workflow", item)  # whose metadata and spec it has
        metadata: ObjectMeta = {**shown["metadata"], "name": name, "resourceVersion": str(number)}
        if self.namespaced:
            metadata["namespace"] = self.board.namespace
        shown = {**shown, "metadata": metadata}
        self._objects[name] = shown
        self._born.setdefault(name, number)
        self._gone.pop(name, None)
        return shown
