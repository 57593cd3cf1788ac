"""The records of a store: its index, brought up to date with the runs of this machine and what was kept of clusters."""

from __future__ import annotations

import builtins
import contextlib
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tiphys.engine.base.options import RunOptions
from tiphys.errors import ClusterError, RefusedError, StoreError
from tiphys.lazy import regex
from tiphys.records.diff import RunDifferences, differences
from tiphys.records.fold import LOCAL, fold
from tiphys.records.index import FeedItem, Index, UseRecord
from tiphys.records.lineage import Lineage, lineage
from tiphys.records.listed import ListedRun, listed
from tiphys.records.points import points
from tiphys.records.record import ArtifactRecord, EventRecord, Point, RunRecord
from tiphys.records.schema import Damaged
from tiphys.reference import contents
from tiphys.runs.local.backend import LocalRuns
from tiphys.runs.local.listing import read, unreadable, written
from tiphys.runs.local.stamps import RunStamp, file_stamp, stamps
from tiphys.store import Store
from tiphys.store.ended import Ended, Line
from tiphys.store.files import clear, write_atomic
from tiphys.store.registry import LocalRegistry

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.runs.client import Client

__all__ = ["Records", "answered", "keep", "record_of", "sync"]

T = TypeVar("T")
_KEPT = "records"  # the folder of what was kept of clusters: SOURCE/NAMESPACE/UID.json.gz
_END = ".json.gz"
_UNFIT = regex(r"[^A-Za-z0-9._-]+")


def answered(store: Store, question: Callable[[Index], T]) -> T:
    """What the index says, brought up to date. One that turns out to be damaged is made anew, and asked again.

    Raises what the question raises, and StoreError TIP411, TIP412, TIP426.
    """
    with Index(store) as index:
        for again in (False, True):
            try:
                sync(index)
                return question(index)
            except Damaged as error:
                if again:
                    raise StoreError(
                        "TIP426",
                        f"the index of the records cannot be used: {error}",
                        where=str(index.path),
                        cause="it was made anew, and is damaged again: the disk, perhaps",
                        fix="check the disk, or give another folder with --store",
                    ) from error
                index.set_aside()
    raise AssertionError


def sync(index: Index) -> int:
    """Bring the index up to date: what is new or has changed is read, what is no more is forgotten. How many that were.

    Who asks at the same time waits, and has nothing to do then. A run that goes on is read as far as it has come.
    """
    store = index.store
    with index.turn():
        index.take_up()
        known, there = index.stamps(), {**stamps(store), **_kept(store)}
        changed = sorted(
            (key for key, each in there.items() if known.get(key) != each.stamp),
            key=lambda key: (there[key].began, key),
        )
        count = index.put(_folded(store, changed, there))
        gone = known.keys() - there.keys()
        if gone:
            count += index.remove(sorted(gone))
    return count


def keep(store: Store, source: str, workflow: Workflow) -> bool:
    """Keep a Workflow of a cluster, for the index: also when it is deleted there. Whether it is new or has changed.

    Raises StoreError TIP411, TIP412, TIP413.
    """
    path = _place(store, source, workflow)
    data = gzip.compress(json.dumps(workflow, ensure_ascii=True).encode(), 6, mtime=0)
    if path.is_file() and contents(path) == data:
        return False
    write_atomic(path, data)
    return True


def _place(store: Store, source: str, workflow: Workflow) -> Path:
    metadata = workflow["metadata"]
    folder = store.kept(source, metadata.get("namespace") or "default")
    return folder / f"{metadata.get('uid') or metadata['name']}{_END}"


class Records:
    """What is known of the runs of a store, and of those of clusters that were kept in it.

    >>> records = Records(".tiphys")                                                     # doctest: +SKIP
    >>> best = records.list("metrics.accuracy >= 0.9", order_by="-metrics.accuracy", limit=10)
    >>> records.get(best[0].key).steps
    >>> pandas.DataFrame(run.flat() for run in best)

    Each question is asked of an index that is brought up to date first. Raises RefusedError TIP211 for a run that is
    not known, TIP255 for a condition that cannot be read, StoreError TIP411, TIP412, TIP426 where the store cannot be
    used.
    """

    def __init__(self, store: str | PathLike[str] = ".tiphys") -> None:
        self.store = Store(Path(store))

    def list(self, where: str = "", *, order_by: str = "", limit: int = 0) -> list[ListedRun]:
        """The runs for which ``where`` holds, the newest first, or by ``order_by``; ``limit``: 0 for all."""
        return self.listed(where, order_by=order_by, limit=limit)[0]

    def listed(
        self, where: str = "", *, order_by: str = "", limit: int = 0
    ) -> tuple[builtins.list[ListedRun], builtins.list[str]]:
        """As :meth:`list`, with notes on names that no run has."""
        return answered(self.store, lambda index: listed(index, where, order_by, limit))

    def get(self, name: str) -> RunRecord:
        """All that is known of a run, by its key, name or UID."""
        return answered(self.store, lambda index: index.record(name))

    def diff(self, left: str, right: str) -> RunDifferences:
        """What differs between two runs: what they were made from, were given, and what came of it."""
        return answered(self.store, lambda index: differences(index.record(left), index.record(right)))

    def artifacts(
        self, pattern: str = "", *, kind: str = "", limit: int = 1000
    ) -> builtins.list[ArtifactRecord]:
        """Things that steps used or made: by digest (or its beginning), URI (or a pattern), kind."""
        return answered(self.store, lambda index: index.artifacts(pattern, kind=kind, limit=limit))

    def producers(self, target: str) -> builtins.list[UseRecord]:
        """The steps that made a thing (a URI or a digest)."""
        return answered(self.store, lambda index: index.producers(target))

    def consumers(self, target: str) -> builtins.list[UseRecord]:
        """The steps that used a thing (a URI or a digest)."""
        return answered(self.store, lambda index: index.consumers(target))

    def lineage(self, target: str, *, down: bool = False, check: bool = True, limit: int = 100) -> Lineage:
        """What a thing (a URI, a digest, a run) came from, or with ``down`` what came of it, down to the names under
        which it is served; with ``check`` what lies in the volumes is read and compared with its digest. Raises
        StoreError TIP431 for what no run made or used."""
        registry = LocalRegistry(self.store)
        registered = [registry.read(name) for name in registry.names()] if down else []

        def asked(index: Index) -> Lineage:
            return lineage(
                index,
                target,
                down=down,
                volumes=self.store.volumes() if check else None,
                limit=limit,
                known=(item.uri for item in index.artifacts()),
                registered=registered,
            )

        return answered(self.store, asked)

    def changes(self, since: int = 0) -> builtins.list[FeedItem]:
        """What has changed after the change of that number: see :meth:`tiphys.records.index.Index.changes`."""
        return answered(self.store, lambda index: list(index.changes(since)))

    def sync(self) -> int:
        """Bring the index up to date; how many runs had changed."""
        with Index(self.store) as index:
            return sync(index)

    def rebuild(self) -> int:
        """Make the index anew; how many runs it has."""
        with Index(self.store) as index, index.turn():
            try:
                index.empty()
            except Damaged:
                index.set_aside()
            return sync(index)

    def sync_cluster(self, client: Client, source: str = "") -> tuple[str, int]:
        """Keep what a client sees of its namespace: the source's name, and how many workflows are new or have changed.

        What was kept stays when the cluster deletes it. Raises ClusterError, and StoreError TIP411 to TIP413.
        """
        source = source or _UNFIT.sub(
            "-", client.backend.url.partition("://")[2] or client.backend.url
        ).strip("-.")
        if source == LOCAL:
            raise RefusedError(
                "TIP256", f"{LOCAL!r} is what runs of this machine come from", fix="choose another name"
            )
        changed = 0
        for item in client.list(brief=True):
            there = self._version(source, item.workflow)
            if there and there == item.workflow["metadata"].get("resourceVersion"):
                continue
            try:
                changed += keep(self.store, source, client.get(item.name).workflow)
            except ClusterError as error:
                if error.code != "TIP605":  # it was deleted just now
                    raise
        self.sync()
        return source, changed

    def _version(self, source: str, workflow: Workflow) -> str:
        path = _place(self.store, source, workflow)
        return _read(str(path), "")["metadata"].get("resourceVersion", "") if path.is_file() else ""


# -- what is there -------------------------------------------------------------------------------------------


def _kept(store: Store) -> dict[str, RunStamp]:
    """What was kept of clusters."""
    folder = store.root / _KEPT
    found: dict[str, RunStamp] = {}
    with clear(folder, "read"):
        for path in folder.glob(f"*/*/*{_END}") if folder.is_dir() else ():
            stamp = file_stamp(str(path))
            if stamp is not None:
                source, namespace, name = path.parts[-3:]
                found[f"{source}/{namespace}/{name.removesuffix(_END)}"] = RunStamp(*stamp, file=str(path))
    return found


# -- what it is ----------------------------------------------------------------------------------------------


def _folded(
    store: Store, keys: Iterable[str], there: Mapping[str, RunStamp]
) -> Iterator[tuple[str, RunRecord]]:
    backend = LocalRuns(RunOptions(store=store.root))
    ended: Mapping[str, Line] | None = None
    for key in keys:
        each = there[key]
        if each.file:
            record = _record(_read(each.file, key), key, key.partition("/")[0])
        else:
            ended = Ended(store).lines() if ended is None else ended
            noted = ended.get(key)
            workflow = None
            if noted is not None and each.is_of(noted):
                workflow = written(store, key)  # what the engine wrote: its journal need not be asked
            workflow = workflow or read(store, backend.get, key, each.began)
            if workflow is None:  # it is being made, or deleted, just now
                continue
            record = record_of(workflow, store, key)
        yield each.stamp, record


def record_of(workflow: Workflow, store: Store | None, key: str = "") -> RunRecord:
    """The record of a run of this machine, with what its steps told; without a store, of one of a cluster. Whatever it
    holds: see the phase ``Unreadable``."""
    seen: list[Point | EventRecord] = []
    if store is not None:
        with contextlib.suppress(StoreError, OSError, ValueError):  # the run itself can be read
            seen = list(points(store, workflow, key))
    return _record(workflow, key or workflow["metadata"].get("name", ""), LOCAL, seen)


def _record(workflow: Workflow, key: str, source: str, seen: Iterable[Point | EventRecord] = ()) -> RunRecord:
    """The record of a Workflow, whatever it holds: of one that nobody can have written, that it cannot be read."""
    try:
        return fold(workflow, seen, source=source, key=key)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        return fold(unreadable(key, 0.0, f"{type(error).__name__}: {error}"), source=source, key=key)


def _read(file: str, key: str) -> Workflow:
    try:
        found: Workflow = json.loads(gzip.decompress(contents(Path(file))))
        return found
    except (OSError, EOFError, ValueError, zlib.error) as error:
        return unreadable(key, 0.0, str(error))
