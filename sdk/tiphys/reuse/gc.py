"""What of the store nothing refers to any more, and its removal.

- Cache entries beyond the limits (:mod:`tiphys.reuse.limits`).
- Artifacts whose digest no key names; the keys that only removed entries named go first. A new artifact has no key for
  a moment, so those of the last hour stay.
- Claims that a workflow made for itself (``volumeClaimTemplates``) and whose run is no longer recorded.
- Folders that steps sealed in volumes, and long values (:mod:`tiphys.large`), named by no record of a run and no cache
  entry, nor in a long value that is.
- What guards (:mod:`tiphys.step.guard`) know of results that no entry has any more.

Beside runs that go on, or wait to be resumed, what they may still read stays (:mod:`tiphys.reuse.open_runs`): what
their journals name, what is younger than the oldest of them, and what lies under a key for which they asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from tiphys.argo.names import LETTERS
from tiphys.frozen import frozen
from tiphys.large import FOLDER, file_of
from tiphys.lazy import regex
from tiphys.reference import MANIFEST, STATES, contents, open_file
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult, damaged
from tiphys.reuse.limits import CacheLimits, artifact_keys, sweep
from tiphys.reuse.open_runs import OpenRuns, open_runs
from tiphys.store import Store, Stored

if TYPE_CHECKING:
    from tiphys.argo.types import Outputs

__all__ = ["Garbage", "KeptEntry", "collect"]

_NEW = 3600.0  # seconds in which an artifact or a folder may still be on its way to its record
_DEPTH = 4
_MENTION = regex(r"pvc://[^\s\"'\\<>{},]+")
# NAME-CLAIM, NAME as Kubernetes makes it of generateName
_OWN_CLAIM = regex(rf".+-[{LETTERS}]{{5}}-.+")


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


@frozen
class Garbage:
    """What was removed, or would be.

    ``entries``: (cache, key). ``volumes``: (``pvc://`` address, bytes). ``held_by``: why some were left alone.
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
        runs = open_runs(store)
        freed, keys = _unnamed(store, known, removed, runs)
        if not dry_run:
            for key in keys:
                store.bucket.delete(key)
            known.forget_freed(freed)
        marks = _Marks(store, known, removed, runs, moment)
        volumes: list[tuple[str, int]] = []
        useless = _states(store, known, {key for _, key in removed}, marks)
        for uri, folder in [*_orphans(store, marks), *useless]:
            size = _size(folder)
            if dry_run or _remove(folder, partial(marks.asked, uri)):
                volumes.append((uri, size))
        wanted = store.bucket.digests(but=keys)
        artifacts = store.artifacts.collect(wanted, dry_run=dry_run, older_than=_NEW)
        if not dry_run:
            known.shrink()
    return Garbage(tuple(entries), tuple(artifacts), tuple(volumes), marks.held_by, tuple(kept))


def _unnamed(
    store: Store, known: Entries, removed: frozenset[tuple[str, str]], runs: OpenRuns
) -> tuple[set[str], set[str]]:
    """Of the artifacts' keys that entries named which are gone, or are among ``removed``: those of which it is known
    whether somebody else names them, and those that nobody does. What an open run names is looked at again later."""
    freed, used = known.freed(), set[str]()
    if removed:
        for entry in known.all():
            (freed if (entry.cache, entry.key) in removed else used).update(artifact_keys(entry.outputs))
    elif freed:
        for text in known.mentions('"artifacts"'):
            used.update(artifact_keys(_outputs(text)))
    held = _found(freed - used, runs.texts())
    unnamed = freed - used - held
    return freed - held, unnamed - _found(unnamed, _records(store))


def _found(keys: set[str], texts: Iterable[str]) -> set[str]:
    """Those that are in one of the JSON texts."""
    left = {json.dumps(key, ensure_ascii=False)[1:-1]: key for key in keys}
    found = set[str]()
    for text in texts if left else ():
        found |= {key for spelled, key in left.items() if spelled in text}
    return found


def _outputs(text: str) -> Outputs | None:
    try:
        return cast("Outputs | None", json.loads(text))
    except ValueError:
        return None  # an entry that cannot be read


class _Marks:
    """What stays: named by a record, an entry that stays or the journal of an open run, below something that an entry
    names, young, or under a key for which an open run has asked."""

    def __init__(
        self,
        store: Store,
        known: Entries,
        gone: frozenset[tuple[str, str]],
        runs: OpenRuns,
        now: float,
    ) -> None:
        self._known, self._runs, self._now = known, runs, now
        self.held_by = ""
        roots = store.volumes()
        self._keys = runs.keys(known)
        journals = [address for text in runs.texts() for address in _MENTION.findall(text)]
        # of "pvc://tiphys/models/{{…}}" and the like there is no telling which folder below it is
        whole = [address for address in journals if not address.endswith("/")]
        self.within = set(_in_values([*_cached(known, gone), *whole], roots))
        self.mentioned = self.within | set(_in_values(_recorded(store), roots))
        self._above = {parent for uri in self.mentioned for parent in _parents(uri)}

    def named(self, uri: str) -> bool:
        """Whether it, or something below it, is named."""
        return uri in self.mentioned or uri in self._above

    def stays(self, uri: str, changed: float, *, key: str = "") -> bool:
        """Whether a sealed folder or a file, changed at that time, may still be needed: under its address, or by whom
        who asks for keys that begin with ``key``."""
        if self.named(uri) or not self.within.isdisjoint(_parents(uri)) or self._now - changed < _NEW:
            return True
        asked = any(each.startswith(key) for each in self._keys) if key else self._under_key(uri)
        if changed >= self._runs.began or asked:
            self.held_by = (
                f"{self._runs.names[0]} goes on, or can be resumed (or deleted): what is younger stays"
            )
            return True
        return False

    def asked(self, uri: str) -> bool:
        """Whether somebody has asked for its key meanwhile."""
        self._keys = open_runs(self._runs.store).keys(self._known)
        return self._under_key(uri)

    def _under_key(self, uri: str) -> bool:
        return any(key in uri for key in self._keys)


def _orphans(store: Store, marks: _Marks) -> Iterator[tuple[str, Path]]:
    roots = store.volumes()
    runs = store.runs()  # after the claims: the folder of a run is made before its claims are
    for claim, root in roots.items():
        folder, uri = Path(root), f"pvc://{claim}"
        if _OWN_CLAIM.fullmatch(claim) and not any(claim.startswith(f"{run}-") for run in runs):
            if not marks.named(uri):
                yield uri, folder
            continue
        for manifest in _sealed(folder, _DEPTH):
            sealed = f"{uri}/{manifest.parent.relative_to(folder).as_posix()}"
            if not marks.stays(sealed, manifest.stat().st_mtime):
                yield sealed, manifest.parent
        for value in _files(folder / FOLDER):
            if not marks.stays(address := f"{uri}/{FOLDER}/{value.name}", value.lstat().st_mtime):
                yield address, value


def _states(store: Store, known: Entries, gone: Set[str], marks: _Marks) -> Iterator[tuple[str, Path]]:
    """What guards know of results that no entry has: such a file lets nothing be taken."""
    found: dict[str, tuple[str, Path]] = {}
    for claim, root in store.volumes().items():
        for path in _files(Path(root) / STATES):
            uri = f"pvc://{claim}/{STATES}/{path.name}"
            if not marks.stays(uri, path.lstat().st_mtime, key=path.stem):
                found[f"{path.stem}-{_generation(path)}"] = uri, path
    kept = {key for key in known.every_key() if key in found and key not in gone} if found else ()
    yield from (item for key, item in found.items() if key not in kept)


def _files(folder: Path) -> list[Path]:
    """The files in a folder of ours on a claim, unfinished ones, too; none through a link that a step put there."""
    if not folder.is_dir() or folder.is_symlink() or folder.parent.is_symlink():
        return []
    return sorted(path for path in folder.iterdir() if not path.is_dir() or path.is_symlink())


def _generation(path: Path) -> object:
    try:
        return json.loads(contents(path))["generation"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # nobody can read it


def _in_values(addresses: Iterable[str], roots: Mapping[str, str]) -> Iterator[str]:
    """Addresses, and those in the texts of long values that are among them."""
    for address in addresses:
        yield address
        if (file := file_of(address, roots)) is not None:
            with contextlib.suppress(OSError, ValueError):
                yield from _in_values(set(_addresses(contents(file).decode())), roots)


def _recorded(store: Store) -> Iterator[str]:
    """Every address in the records of runs."""
    for text in _records(store):
        yield from _addresses(text)


def _records(store: Store) -> Iterator[str]:
    for name in store.runs():
        try:
            stream = open_file(store.run(name) / "workflow.json")
        except FileNotFoundError:  # it goes on, or is just deleted
            continue
        with stream:
            yield stream.read().decode(errors="replace")


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


def _remove(folder: Path, wanted: Callable[[], bool]) -> bool:
    """Away at once, under a name that the next writer beside it sweeps up if this is interrupted; back when it is
    ``wanted`` after all. Whether it went."""
    aside = folder.with_name(f".tmp-gone-{uuid.uuid4().hex}")
    folder.rename(aside)
    if wanted() and not folder.exists():
        aside.rename(folder)
        return False
    if aside.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink(missing_ok=True)
    return True
