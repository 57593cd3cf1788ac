"""What of the store nothing refers to any more, and its removal.

- Cache entries beyond the limits (:mod:`tiphys.reuse.limits`).
- Artifacts whose digest no key names; the keys that only removed entries named go first. A new artifact has no key for
  a moment, so those of the last hour stay.
- Claims that a workflow made for itself (``volumeClaimTemplates``) and whose run is no longer recorded.
- Folders that steps sealed in volumes, and long values (:mod:`tiphys.large`), named by no record of a run and no cache
  entry, nor in a long value that is.

Volumes and keys are touched only while no run goes on in any process (:meth:`Store.alone`) and none waits to be
resumed: such a run may come to need a folder that is not written down yet.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from tiphys.argo.names import LETTERS
from tiphys.large import FOLDER, file_of
from tiphys.reference import MANIFEST
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult, damaged
from tiphys.reuse.limits import CacheLimits, artifact_keys, sweep
from tiphys.store import Store, Stored

if TYPE_CHECKING:
    from tiphys.argo.types import Outputs

__all__ = ["Garbage", "KeptEntry", "collect"]

_NEW = 3600.0  # seconds in which an artifact or a folder may still be on its way to its record
_DEPTH = 4
_MENTION = re.compile(r"pvc://[^\s\"'\\<>{},]+")
# NAME-CLAIM, NAME as Kubernetes makes it of generateName
_OWN_CLAIM = re.compile(rf".+-[{LETTERS}]{{5}}-.+")


class KeptEntry(NamedTuple):
    """An entry whose age nobody knows; ``key`` is empty for a ConfigMap that is no cache."""

    cache: str
    key: str
    why: str

    @classmethod
    def of(cls, entry: CachedResult) -> KeptEntry:
        """One that does not say when it was last used, or cannot be read."""
        why = "it does not say when it was last used"
        if entry.broken is not None:
            why = damaged(entry.broken, entry.cache, entry.key).message
        return cls(entry.cache, entry.key, why)


@dataclass(frozen=True)
class Garbage:
    """What was removed, or would be.

    ``entries``: (cache, key). ``volumes``: (``pvc://`` address, bytes). ``held_by``: why volumes were left alone.
    ``kept``: entries of which nobody knows the age, and ConfigMaps that are no caches.
    """

    entries: tuple[tuple[str, str], ...] = ()
    artifacts: tuple[Stored, ...] = ()
    volumes: tuple[tuple[str, int], ...] = ()
    held_by: str = ""
    kept: tuple[KeptEntry, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of artifacts and volumes."""
        return sum(item.size for item in self.artifacts) + sum(size for _, size in self.volumes)


def collect(store: Store, limits: CacheLimits, *, dry_run: bool = False, now: float | None = None) -> Garbage:
    """Remove the entries beyond the limits, and what nothing refers to. Raises StoreError."""
    moment = time.time() if now is None else now
    entries: list[tuple[str, str]] = []
    with Entries(store) as known:
        kept = [KeptEntry(name, "", error.message) for name, error in sorted(known.refused.items())]
        kept += map(KeptEntry.of, known.unknown())
        sweep(known, limits, moment, dry_run=dry_run, gone=lambda cache, key: entries.append((cache, key)))
        removed = frozenset(entries if dry_run else ())  # and still there
        keys: set[str] = set()
        volumes: list[tuple[str, int]] = []
        with store.alone() as alone:
            held_by = _held_by(store, alone)
            if not held_by:
                freed, keys = _unnamed(store, known, removed)
                if not dry_run:
                    for key in keys:
                        store.bucket.delete(key)
                    known.forget_freed(freed)
                for uri, folder in list(_orphans(store, known, removed, moment)):
                    volumes.append((uri, _size(folder)))
                    if not dry_run:
                        _remove(folder)
        wanted = store.bucket.digests(but=keys)
        artifacts = store.artifacts.collect(wanted, dry_run=dry_run, older_than=_NEW)
        if not dry_run:
            known.shrink()
    return Garbage(tuple(entries), tuple(artifacts), tuple(volumes), held_by, tuple(kept))


def _unnamed(store: Store, known: Entries, removed: frozenset[tuple[str, str]]) -> tuple[set[str], set[str]]:
    """The artifacts' keys that entries named which are gone, or are among ``removed``; those that nobody else names."""
    freed, used = known.freed(), set[str]()
    if removed:
        for entry in known.all():
            (freed if (entry.cache, entry.key) in removed else used).update(artifact_keys(entry.outputs))
    elif freed:
        for text in known.mentions('"artifacts"'):
            used.update(artifact_keys(_outputs(text)))
    unnamed = freed - used
    for name in store.runs() if unnamed else ():
        text = (store.run(name) / "workflow.json").read_text(encoding="utf-8")
        unnamed = {key for key in unnamed if json.dumps(key, ensure_ascii=False)[1:-1] not in text}
    return freed, unnamed


def _outputs(text: str) -> Outputs | None:
    try:
        return cast("Outputs | None", json.loads(text))
    except ValueError:
        return None  # an entry that cannot be read


def _held_by(store: Store, alone: bool) -> str:
    if not alone:
        return "a run goes on"
    waiting = [name for name in store.runs() if not (store.run(name) / "workflow.json").is_file()]
    return f"{waiting[0]} can be resumed (or deleted)" if waiting else ""


def _orphans(
    store: Store, known: Entries, gone: frozenset[tuple[str, str]], now: float
) -> Iterator[tuple[str, Path]]:
    roots = store.volumes()
    cached = set(_in_values(_cached(known, gone), roots))
    mentioned = {*cached, *_in_values(_recorded(store), roots)}
    above = {parent for uri in mentioned for parent in _parents(uri)}
    runs = store.runs()
    for claim, root in roots.items():
        folder, uri = Path(root), f"pvc://{claim}"
        if _OWN_CLAIM.fullmatch(claim) and not any(claim.startswith(f"{run}-") for run in runs):
            if uri not in mentioned and uri not in above:
                yield uri, folder
            continue
        for manifest in _sealed(folder, _DEPTH):
            sealed = f"{uri}/{manifest.parent.relative_to(folder).as_posix()}"
            young = now - manifest.stat().st_mtime < _NEW
            below = any(parent in cached for parent in _parents(sealed))
            if not young and not below and sealed not in mentioned and sealed not in above:
                yield sealed, manifest.parent
        for value in sorted((folder / FOLDER).glob("[0-9a-f]*")):
            address = f"{uri}/{FOLDER}/{value.name}"
            if now - value.stat().st_mtime >= _NEW and address not in mentioned:
                yield address, value


def _in_values(addresses: Iterable[str], roots: Mapping[str, str]) -> Iterator[str]:
    """Addresses, and those in the texts of long values that are among them."""
    for address in addresses:
        yield address
        if (file := file_of(address, roots)) is not None:
            with contextlib.suppress(OSError, ValueError):
                yield from _in_values(set(_addresses(file.read_text(encoding="utf-8"))), roots)


def _recorded(store: Store) -> Iterator[str]:
    """Every address in the records of runs."""
    for name in store.runs():
        yield from _addresses((store.run(name) / "workflow.json").read_text(encoding="utf-8"))


def _cached(known: Entries, gone: frozenset[tuple[str, str]]) -> Iterator[str]:
    """Every address in the entries of caches that stay."""
    if not gone:
        for text in known.mentions("pvc:"):
            yield from _addresses(text)
        return
    for entry in known.all():
        if (entry.cache, entry.key) not in gone:
            yield from _addresses(entry.broken or json.dumps(entry.outputs, ensure_ascii=False))


def _addresses(text: str) -> Iterator[str]:
    for address in _MENTION.findall(text):
        yield address.rstrip("/")


def _parents(uri: str) -> Iterator[str]:
    while uri.count("/") > 2:
        uri = uri.rpartition("/")[0]
        yield uri


def _sealed(folder: Path, depth: int) -> Iterator[Path]:
    """The manifests of the sealed folders below, not those inside others."""
    with os.scandir(folder) as entries:
        below = sorted(
            (entry for entry in entries if entry.is_dir(follow_symlinks=False)), key=lambda e: e.name
        )
    for entry in below:
        manifest = Path(entry.path) / MANIFEST
        if manifest.is_file():
            yield manifest
        elif depth > 1 and not entry.name.startswith("."):
            yield from _sealed(Path(entry.path), depth - 1)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in (folder, *folder.rglob("*")) if not path.is_dir())


def _remove(folder: Path) -> None:
    """Away at once, under a name that the next writer beside it sweeps up if this is interrupted."""
    aside = folder.with_name(f".tmp-gone-{uuid.uuid4().hex}")
    folder.rename(aside)
    if aside.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink(missing_ok=True)
