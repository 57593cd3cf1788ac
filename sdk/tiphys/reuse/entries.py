"""What the memoized steps of a store's runs left: rows of ``cache.db``, without a limit for one cache.

A hit touches one small row (:func:`tiphys.reuse.uses.note`). The outputs lie in a table of their own and are not
written again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tiphys.argo.memo import family
from tiphys.errors import StoreError
from tiphys.reference import contents
from tiphys.reuse.configmaps import check_name, entries_in
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.file import CacheFile
from tiphys.reuse.shared import hold, release
from tiphys.store.files import clear

if TYPE_CHECKING:
    import sqlite3
    from types import TracebackType

    from tiphys.argo.types import GivenObject
    from tiphys.store import Store

__all__ = ["FILE", "Entries", "delete"]

FILE = "cache.db"
_PAGE = 1000
_GRAIN = 30.0  # seconds since it was used for which an entry counts as just used
_EARLIER = "configmaps"  # where versions up to 0.1.0 kept the caches
_FIELDS = (
    "e.cache, e.key, e.node, c.outputs, e.created, e.hit, e.run, e.template, e.max_age, c.parts, e.size, e.data, "
    "e.hits, c.broken"
)
_FROM = "FROM entries e JOIN contents c ON c.id = e.id"


class Entries:
    """The entries of one store. Safe for several threads and processes; close it, or use it in ``with``.

    ``refused`` holds what the folder of an earlier version has under the name of a cache and is none: a ConfigMap
    without the label, a file that cannot be read.
    """

    def __init__(self, store: Store) -> None:
        with clear(store.root, "make"):
            store.root.mkdir(parents=True, exist_ok=True)
        self.file = CacheFile(store.root / FILE)
        self.refused: dict[str, StoreError] = {}
        self._adopt(store.root / _EARLIER)

    def __enter__(self) -> Entries:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    # -- one entry --------------------------------------------------------------------------------------------

    def get(self, cache: str, key: str, *, now: float | None = None) -> CachedResult | None:
        """The entry, or None; with ``now`` it counts as used then. Raises StoreError when what there is under the
        cache's name is no cache."""
        self._check(cache)
        found = next(self._select("WHERE e.cache=? AND e.key=?", (cache, key)), None)
        if now is None or found is None or found.hit is None or found.hit > now - _GRAIN:
            return found
        with self.file.writing() as db:
            there = db.execute("UPDATE entries SET hit=? WHERE cache=? AND key=?", (now, cache, key)).rowcount
        return found if there else None

    def save(self, entry: CachedResult) -> None:
        """Write an entry in place of the one under its key. Raises StoreError."""
        self._check(entry.cache)
        with self.file.writing() as db:
            _put(db, entry, replace=True)

    def remove(self, cache: str, key: str) -> bool:
        """Delete an entry; whether it was there."""
        with self.file.writing() as db:
            return delete(db, _numbers(db, cache, key)) > 0

    # -- many -------------------------------------------------------------------------------------------------

    def all(
        self, cache: str = "", *, prefix: str = "", template: str | None = None
    ) -> Iterator[CachedResult]:
        """Every entry by cache and key; only those of ``cache``, only those whose key begins with ``prefix`` or whose
        step is of ``template``."""
        last = (cache, "") if cache else ("", "")
        while True:
            page = list(
                self._select(
                    "WHERE (e.cache, e.key) > (?, ?) AND (?='' OR e.cache=?)"
                    " AND (substr(e.key, 1, ?)=? OR e.template=?)"
                    " ORDER BY e.cache, e.key LIMIT ?",
                    (*last, cache, cache, len(prefix), prefix, template, _PAGE),
                )
            )
            yield from page
            if len(page) < _PAGE:
                return
            last = (page[-1].cache, page[-1].key)

    def family(self, cache: str) -> list[tuple[float | None, str, str, dict[str, str]]]:
        """When each entry of a cache was made, its cache, its key and what that is made of, of all maps over which
        the cache is spread; the newest first, last what nobody knows the time of."""
        with self.file.reading() as db:
            rows = db.execute(
                "SELECT e.created, e.cache, e.key, c.parts FROM entries e JOIN contents c ON c.id = e.id"
                " WHERE e.cache=? OR e.cache GLOB ? ORDER BY e.created DESC, e.id DESC",
                (cache, f"{family(cache)}-[0-9a-f][0-9a-f]"),
            ).fetchall()
        return [(created, name, key, json.loads(parts)) for created, name, key, parts in rows]

    def names(self) -> list[str]:
        """The caches that have entries, sorted."""
        with self.file.reading() as db:
            return [name for (name,) in db.execute("SELECT DISTINCT cache FROM entries ORDER BY cache")]

    def every_key(self) -> Iterator[str]:
        """The key of each entry."""
        last = 0
        while True:
            with self.file.reading() as db:
                rows = db.execute(
                    "SELECT id, key FROM entries WHERE id>? ORDER BY id LIMIT ?", (last, 50 * _PAGE)
                ).fetchall()
            if not rows:
                return
            yield from (key for _, key in rows)
            last = rows[-1][0]

    def totals(self) -> tuple[int, int]:
        """How many entries there are, and the bytes of their outputs and of what these point to, each once."""
        with self.file.reading() as db:
            entries, size = db.execute("SELECT entries, bytes FROM totals").fetchone()
            return int(entries), int(size)

    def swept(self) -> float:
        """When ages were last looked at, in seconds since the epoch."""
        with self.file.reading() as db:
            return float(db.execute("SELECT swept FROM totals").fetchone()[0])

    def note_sweep(self, now: float) -> None:
        """Ages are looked at now."""
        with self.file.writing() as db:
            db.execute("UPDATE totals SET swept=?", (now,))

    def unknown(self) -> list[CachedResult]:
        """The entries of which nobody knows when they were last used, those that cannot be read among them."""
        return list(self._select("WHERE e.hit IS NULL ORDER BY e.cache, e.key", ()))

    def mentions(self, text: str) -> Iterator[str]:
        """The outputs, as JSON, of the entries in which a text occurs, and the texts that cannot be read."""
        last = 0
        while True:
            with self.file.reading() as db:
                rows = db.execute(
                    "SELECT id, outputs, coalesce(broken, '') FROM contents WHERE id>?"
                    " AND (instr(outputs, ?) OR instr(broken, ?)) ORDER BY id LIMIT ?",
                    (last, text, text, _PAGE),
                ).fetchall()
            for _, outputs, broken in rows:
                yield outputs + broken
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def freed(self) -> set[str]:
        """The keys of artifacts that removed entries named, and that nobody has looked at since."""
        with self.file.reading() as db:
            return {key for (key,) in db.execute("SELECT key FROM freed")}

    def forget_freed(self, keys: Iterable[str]) -> None:
        """These were looked at."""
        with self.file.writing() as db:
            db.executemany("DELETE FROM freed WHERE key=?", ((key,) for key in keys))

    def shrink(self) -> None:
        """Give the room of removed entries back to the disk."""
        for _ in range(1000):
            with self.file.reading() as db:
                left = db.execute("PRAGMA freelist_count").fetchone()[0]
                if left < 1000:
                    return
                db.executescript("PRAGMA incremental_vacuum(2000)")  # execute() would do one page

    def begin(self, config: GivenObject) -> None:
        """Take a ConfigMap as the first state of its cache: nothing when there are entries. Raises like
        :func:`tiphys.reuse.configmaps.entries_in`."""
        name = str((config.get("metadata") or {}).get("name") or "")
        with self.file.reading() as db:
            if db.execute("SELECT 1 FROM entries WHERE cache=? LIMIT 1", (name,)).fetchone():
                return
        self.add(entries_in(config))

    def add(self, entries: Iterable[CachedResult]) -> int:
        """Write those whose key has no entry yet, all or none; how many they were."""
        with self.file.writing() as db:
            return sum(_put(db, entry, replace=False) for entry in entries)

    # -- inside -----------------------------------------------------------------------------------------------

    def _check(self, cache: str) -> None:
        check_name(cache)
        problem = self.refused.get(cache)
        if problem is not None:
            raise problem

    def _select(self, condition: str, values: tuple[object, ...]) -> Iterator[CachedResult]:
        with self.file.reading() as db:
            rows = list(_found(db, condition, values))
        yield from rows

    def _adopt(self, folder: Path) -> None:
        """Take over what an earlier version kept as files. A file goes when its entries are in the table."""
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
            try:
                with clear(path, "read"):
                    config = json.loads(contents(path))
            except ValueError as error:
                self.refused[path.stem] = StoreError(
                    "TIP421",
                    f"the ConfigMap {path.stem!r} of the store cannot be read: {error}",
                    where=str(path),
                    fix="delete the file: it is only a cache",
                )
                continue
            except StoreError as error:
                if not path.exists():
                    continue  # another engine took it over
                self.refused[path.stem] = error
                continue
            try:
                self.add(_entries_of(config, path))
            except StoreError as error:
                self.refused[path.stem] = error
                continue
            with clear(path, "delete"), contextlib.suppress(FileNotFoundError):
                path.unlink()


def _entries_of(config: object, path: Path) -> list[CachedResult]:
    if not isinstance(config, dict):
        raise StoreError(
            "TIP421", f"{path} is not a ConfigMap", where=str(path), fix="delete the file: it is only a cache"
        )
    return entries_in(cast("GivenObject", config))


def _found(db: sqlite3.Connection, condition: str, values: tuple[object, ...]) -> Iterator[CachedResult]:
    for row in db.execute(f"SELECT {_FIELDS} {_FROM} {condition}", values):
        (cache, key, node, outputs, created, hit, run, template, age, parts, size, data, hits, broken) = row
        yield CachedResult(
            cache, key, node, json.loads(outputs or "null"), created, hit, run, template, age, json.loads(parts),
            size, data, hits, broken,
        )  # fmt: skip


def delete(db: sqlite3.Connection, numbers: list[int]) -> int:
    """Delete the entries of these numbers in the transaction that goes on; how many there were."""
    marks = ",".join("?" * len(numbers))
    count, size = db.execute(
        f"SELECT count(*), coalesce(sum(size), 0) FROM entries WHERE id IN ({marks})", numbers
    ).fetchone()
    db.execute(f"DELETE FROM contents WHERE id IN ({marks})", numbers)
    db.execute(f"DELETE FROM entries WHERE id IN ({marks})", numbers)
    freed = size + release(db, numbers)
    db.execute("UPDATE totals SET entries=entries-?, bytes=bytes-?", (count, freed))
    return int(count)


def _numbers(db: sqlite3.Connection, cache: str, key: str) -> list[int]:
    return [row[0] for row in db.execute("SELECT id FROM entries WHERE cache=? AND key=?", (cache, key))]


def _put(db: sqlite3.Connection, entry: CachedResult, *, replace: bool) -> bool:
    """Write an entry; whether it was written."""
    outputs = json.dumps(entry.outputs, ensure_ascii=False, separators=(",", ":"))
    if replace:
        delete(db, _numbers(db, entry.cache, entry.key))
    size = entry.size or len(outputs.encode())
    done = db.execute(
        "INSERT OR IGNORE INTO entries(cache, key, node, run, template, max_age, created, hit, hits, size, data)"
        " VALUES(?,?,?,?,?,?,?,?,?,?,?)",
        (
            entry.cache, entry.key, entry.node, entry.run, entry.template, entry.max_age, entry.created, entry.hit,
            entry.hits, size, entry.data,
        ),
    )  # fmt: skip
    if not done.rowcount:
        return False
    number = done.lastrowid or 0
    held = entry.held or ({f"entry {number}": entry.data} if entry.data else {})
    db.execute("UPDATE totals SET entries=entries+1, bytes=bytes+?", (size + hold(db, number, held),))
    db.execute(
        "INSERT INTO contents(id, outputs, parts, broken) VALUES(?,?,?,?)",
        (number, outputs, json.dumps(dict(entry.parts), ensure_ascii=False), entry.broken),
    )
    return True
