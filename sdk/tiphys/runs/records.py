"""The records of a store: its index, brought up to date with the runs of this machine and what was kept of clusters."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tiphys.engine.base.options import RunOptions
from tiphys.errors import StoreError
from tiphys.records.fold import LOCAL, fold
from tiphys.records.index import Index
from tiphys.records.points import points
from tiphys.records.record import Point, RunRecord
from tiphys.records.schema import Damaged
from tiphys.reference import contents
from tiphys.runs.local.backend import LocalRuns
from tiphys.runs.local.listing import read, unreadable
from tiphys.store import Store
from tiphys.store.files import clear, write_atomic

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow

__all__ = ["answered", "keep", "sync"]

T = TypeVar("T")
_KEPT = "records"  # the folder of what was kept of clusters: SOURCE/NAMESPACE/UID.json.gz
_END = ".json.gz"
_MANY = 50  # runs, after which it is worth counting anew


@dataclass(frozen=True)
class _There:
    """Something that can be folded: what it is now, when it began, and its file if it was kept of a cluster."""

    stamp: str
    began: float
    file: str = ""


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
        known, there = index.stamps(), {**_runs(store), **_kept(store)}
        changed = sorted(
            (key for key, each in there.items() if known.get(key) != each.stamp),
            key=lambda key: (there[key].began, key),
        )
        count = index.put(_folded(store, changed, there))
        gone = known.keys() - there.keys()
        if gone:
            count += index.remove(sorted(gone))
        if count >= _MANY:
            index.settle()
    return count


def keep(store: Store, source: str, workflow: Workflow) -> bool:
    """Keep a Workflow of a cluster, for the index: also when it is deleted there. Whether it is new or has changed.

    Raises StoreError TIP411, TIP412, TIP413.
    """
    metadata = workflow["metadata"]
    namespace, identity = metadata.get("namespace", "default"), metadata.get("uid", metadata["name"])
    path = store.kept(source, namespace) / f"{identity}{_END}"
    data = gzip.compress(json.dumps(workflow, ensure_ascii=True).encode(), 6, mtime=0)
    if path.is_file() and contents(path) == data:
        return False
    write_atomic(path, data)
    return True


# -- what is there -------------------------------------------------------------------------------------------


def _runs(store: Store) -> dict[str, _There]:
    """The runs of this machine. Raises StoreError TIP412 where the store cannot be read."""
    folder = store.root / "runs"
    found: dict[str, _There] = {}
    with clear(folder, "read"):
        for entry in os.scandir(folder) if folder.is_dir() else ():
            if os.path.isdir(entry.path):
                stamp = _stamp(f"{entry.path}/workflow.json")
                found[entry.name] = _There(*stamp) if stamp is not None else _unfinished(store, entry.name)
    return found


def _stamp(path: str) -> tuple[str, float] | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return f"{state.st_mtime_ns}.{state.st_size}.{state.st_ino}", state.st_mtime


def _unfinished(store: Store, name: str) -> _There:
    """A run that has not ended: as far as its journal goes, and whether an engine goes on with it."""
    folder = store.root / "runs" / name
    parts = [_stamp(f"{folder}/journal.db"), _stamp(f"{folder}/journal.db-wal")]
    try:
        held = store.held(name)
    except (OSError, StoreError):
        held = False
    latest = max((part[1] for part in parts if part is not None), default=0.0)
    return _There(" ".join([*(part[0] if part else "-" for part in parts), "held" * held]), latest)


def _kept(store: Store) -> dict[str, _There]:
    """What was kept of clusters."""
    folder = store.root / _KEPT
    found: dict[str, _There] = {}
    with clear(folder, "read"):
        for path in folder.glob(f"*/*/*{_END}") if folder.is_dir() else ():
            stamp = _stamp(str(path))
            if stamp is not None:
                source, namespace, name = path.parts[-3:]
                found[f"{source}/{namespace}/{name.removesuffix(_END)}"] = _There(*stamp, file=str(path))
    return found


# -- what it is ----------------------------------------------------------------------------------------------


def _folded(
    store: Store, keys: Iterable[str], there: Mapping[str, _There]
) -> Iterator[tuple[str, RunRecord]]:
    backend = LocalRuns(RunOptions(store=store.root))
    for key in keys:
        each = there[key]
        if each.file:
            record = _record(_read(each.file, key), key, key.partition("/")[0])
        else:
            workflow = read(store, backend.get, key, each.began)
            if workflow is None:  # it is being made, or deleted, just now
                continue
            try:
                seen = list(points(store, workflow, key))
            except (StoreError, OSError, ValueError):
                seen = []
            record = _record(workflow, key, LOCAL, seen)
        yield each.stamp, record


def _record(workflow: Workflow, key: str, source: str, seen: Iterable[Point] = ()) -> RunRecord:
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
