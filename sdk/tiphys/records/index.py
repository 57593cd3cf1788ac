"""The index of a store's records: what runs left, as rows that can be asked. The runs' own folders are what is true.

One writer at a time; each change of a run has a number, higher than all before it, by which others follow.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import NamedTuple

from tiphys.errors import RefusedError, did_you_mean
from tiphys.records import rows
from tiphys.records.record import ArtifactRecord, RunRecord
from tiphys.records.schema import FILE, TABLES, Damaged, identity, opened, problem, set_aside
from tiphys.store.layout import Store
from tiphys.store.sqlite import SharedFile, transaction

__all__ = ["FeedItem", "Index", "UseRecord"]

_NAMED = "SELECT id, uri, digest FROM artifacts"
_TARGET = f"{_NAMED} WHERE uri=:it UNION {_NAMED} WHERE digest=:it"
_BATCH = 100  # runs of one transaction
_FEED = 1000  # changes that are read at once


class UseRecord(NamedTuple):
    """A step that made or used an artifact. ``hit``: it took it from the cache."""

    key: str
    step: str
    hit: bool
    artifact: ArtifactRecord


class FeedItem(NamedTuple):
    """``kind`` is ``run`` (it is new or has changed), ``gone``, or ``reset``: the index was made anew, and what is not
    told of after this is no more."""

    number: int
    key: str
    kind: str


class Index:
    """The index of a store: ``STORE/records.db``; in memory where that cannot be written.

    >>> with Index(store) as index:                                        # doctest: +SKIP
    ...     index.record("fashion-mnist-x7x2p").metrics()["accuracy"]

    Whoever asks brings it up to date first (:class:`tiphys.Records` does). Methods raise StoreError TIP426 when the
    file cannot be used, and :class:`tiphys.records.schema.Damaged` when it must be made anew (:meth:`set_aside`).
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.path = store.root / FILE
        self._guard = threading.RLock()
        self._file = identity(self.path)
        try:
            self._open()
        except Damaged:
            set_aside(self.path, self._file)
            self._open()

    def _open(self) -> None:
        self._file = identity(self.path)
        self._db = opened(self.path)
        self._file = identity(self.path)

    def close(self) -> None:
        """Close the file."""
        with self._guard:
            self._db.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def set_aside(self) -> None:
        """Begin a new file in the place of a damaged one."""
        with self._guard:
            self._db.close()
            if isinstance(self._db, SharedFile):
                set_aside(self.path, self._file)
            self._open()

    def take_up(self) -> None:
        """Open the file anew if another has taken its place since."""
        with self._guard:
            if isinstance(self._db, SharedFile) and identity(self.path) != self._file:
                self._db.close()
                self._open()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one who reads, and for making of rows what they are."""
        with self._guard:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise problem(error, self.path) from error
            except UnicodeEncodeError as error:  # half a character, in what was asked for
                raise RefusedError(
                    "TIP255", f"{error.object!r} is no text", fix="write it in UTF-8"
                ) from error
            except (TypeError, ValueError, KeyError) as error:  # rows that a whole file cannot have
                raise Damaged(str(error)) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._guard:
            try:
                with transaction(self._db) as db:
                    yield db
            except sqlite3.Error as error:
                raise problem(error, self.path) from error

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Keep other writers out for longer than one change."""
        with self._guard, self._db.turn() if isinstance(self._db, SharedFile) else contextlib.nullcontext():
            yield

    # -- filling ---------------------------------------------------------------------------------------------

    def stamps(self, source: str = "") -> dict[str, str]:
        """What each run was when it was read: ``{key: stamp}``, of one source or of all."""
        with self.reading() as db:
            if source:
                return dict(db.execute("SELECT key, stamp FROM runs WHERE source=?", (source,)))
            return dict(db.execute("SELECT key, stamp FROM runs"))

    def put(self, records: Iterable[tuple[str, RunRecord]]) -> int:
        """Write runs, each with its stamp, over what was known of them; how many had changed.

        They are read one after the other, and written some at a time: of a process that is killed meanwhile what is
        written stays.
        """
        changed, waiting = 0, iter(records)
        while batch := list(itertools.islice(waiting, _BATCH)):
            changed += self._put(batch)
        return changed

    def _put(self, batch: Sequence[tuple[str, RunRecord]]) -> int:
        changed = 0
        with self._writing() as db:
            known: dict[str, int] = {}
            for stamp, record in batch:
                there = db.execute("SELECT id, stamp FROM runs WHERE key=?", (record.key,)).fetchone()
                if there is not None and there[1] == stamp:
                    continue
                if there is not None:
                    rows.delete(db, there[0])
                db.execute("DELETE FROM gone WHERE key=?", (record.key,))
                change = _next(db)
                db.execute("SAVEPOINT run")
                try:
                    rows.insert(db, record, change, stamp, known)
                except (
                    UnicodeEncodeError,
                    OverflowError,
                ) as error:  # half a character, a number beyond 64 bits
                    db.execute("ROLLBACK TO run")
                    known = {}  # a name may have gone back, too
                    rows.insert(db, rows.unwritten(record, str(error)), change, stamp, known)
                db.execute("RELEASE run")
                changed += 1
        return changed

    def remove(self, keys: Iterable[str]) -> int:
        """Forget runs that are no more; how many there were."""
        removed = 0
        with self._writing() as db:
            for key in keys:
                there = db.execute("SELECT id FROM runs WHERE key=?", (key,)).fetchone()
                if there is not None:
                    rows.delete(db, there[0])
                    db.execute("INSERT OR REPLACE INTO gone VALUES(?,?)", (key, _next(db)))
                    removed += 1
        return removed

    def empty(self) -> None:
        """Forget all runs: they are to be read again. Who follows is told to forget them, too."""
        with self._writing() as db:
            for table in (*TABLES, "names", "artifacts", "runs", "gone"):
                db.execute(f"DELETE FROM {table}")
            db.execute("UPDATE counter SET last=last+1, first=last+1")

    # -- following -------------------------------------------------------------------------------------------

    def last_change(self) -> int:
        """The number of the last change."""
        with self.reading() as db:
            return int(db.execute("SELECT last FROM counter").fetchone()[0])

    def changes(self, since: int = 0) -> Iterator[FeedItem]:
        """What has changed after the change ``since``, in order; of a run only the last.

        Who asks again with the last number that it was given misses nothing. A first change of kind ``reset`` (when
        ``since`` is of an index that is no more) says that what is not told of after it is gone.
        """
        with self.reading() as db:
            first, last = db.execute("SELECT first, last FROM counter").fetchone()
        if 0 < since < first or since > last:
            yield FeedItem(first, "", "reset")
            since = first
        while True:
            with self.reading() as db:
                found = db.execute(
                    "SELECT change, key, 'run' FROM runs WHERE change>:since UNION ALL "
                    "SELECT change, key, 'gone' FROM gone WHERE change>:since ORDER BY change LIMIT :most",
                    {"since": since, "most": _FEED},
                ).fetchall()
            yield from (FeedItem(*each) for each in found)
            if len(found) < _FEED:
                return
            since = found[-1][0]

    # -- asking ----------------------------------------------------------------------------------------------

    def record(self, key: str) -> RunRecord:
        """What is known of a run, by its key, its name, or its UID. Raises RefusedError TIP211 where none is known."""
        with self.reading() as db:
            row = self._row(db, key)
            found = rows.read(db, row) if row else None
        if found is None:
            raise self._unknown(key)
        return found

    def find(self, prefix: str, limit: int = 100) -> list[str]:
        """The keys of the runs whose key or name begins so, the newest first."""
        end = _after(prefix)
        with self.reading() as db:
            return [
                key
                for (key,) in db.execute(
                    "SELECT key FROM runs WHERE id IN (SELECT id FROM runs WHERE key>=? AND key<? UNION "
                    "SELECT id FROM runs WHERE name>=? AND name<?) ORDER BY started DESC, key LIMIT ?",
                    (prefix, end, prefix, end, limit),
                )
            ]

    def producers(self, target: str, limit: int = 100) -> list[UseRecord]:
        """The steps that made a thing (a URI or a digest), the newest first: those that ran, and where none of them is
        known, those that took it from the cache."""
        return self._uses(target, rows.MADE, limit) or self._uses(target, rows.TAKEN, limit)

    def consumers(self, target: str, limit: int = 100) -> list[UseRecord]:
        """The steps that used a thing (a URI or a digest), the newest first."""
        return self._uses(target, rows.USED, limit)

    def consumed(self, target: str) -> int:
        """How many steps used it."""
        with self.reading() as db:
            return int(
                db.execute(
                    f"SELECT count(*) FROM ({_TARGET}) found "
                    "CROSS JOIN edges ON edges.artifact=found.id AND made=:made",
                    {"it": target, "made": rows.USED},
                ).fetchone()[0]
            )

    def _uses(self, target: str, made: int, limit: int) -> list[UseRecord]:
        with self.reading() as db:
            found = [
                (run, step, uri, digest, name)
                for artifact, uri, digest in db.execute(_TARGET, {"it": target}).fetchall()
                for run, step, name in db.execute(
                    "SELECT run, step, name FROM edges WHERE artifact=? AND made=? "
                    "ORDER BY run DESC, step DESC LIMIT ?",
                    (artifact, made, limit),
                )
            ]
            # those that were written last began last, but for runs of other machines
            uses = []
            for run, step, uri, digest, name in found:
                key, label, hit, started = db.execute(
                    "SELECT runs.key, steps.name, steps.hit, steps.started FROM runs JOIN steps ON steps.run=runs.id "
                    "WHERE runs.id=? AND steps.position=?",
                    (run, step),
                ).fetchone()
                use = UseRecord(key, label, bool(hit), ArtifactRecord(uri, digest, name))
                uses.append((-started, key, label, use))
            return [use for *_, use in sorted(uses, key=lambda each: each[:3])[:limit]]

    def artifacts(self, pattern: str = "", *, kind: str = "", limit: int = 1000) -> list[ArtifactRecord]:
        """Artifacts by digest (or its beginning), by URI, or by a pattern of it (``*``, ``?``); and by kind."""
        query, values = "SELECT uri, digest FROM artifacts WHERE ", []
        if pattern.startswith("sha256:"):
            query, values = query + "digest>=? AND digest<?", [pattern, _after(pattern)]
        else:
            beginning = pattern[
                : min((pattern.find(each) for each in "*?[" if each in pattern), default=len(pattern))
            ]
            query, values = query + "uri>=? AND uri<?", [beginning, _after(beginning)]
            if beginning == pattern != "":
                query, values = query + " AND uri=?", [*values, pattern]
            elif pattern:
                query, values = query + " AND uri GLOB ?", [*values, pattern]
        if kind:
            query, values = query + " AND kind=?", [*values, kind]
        with self.reading() as db:
            return [
                ArtifactRecord(*each)
                for each in db.execute(f"{query} ORDER BY uri, digest LIMIT ?", (*values, limit))
            ]

    def _row(self, db: sqlite3.Connection, key: str) -> int:
        for column in ("key", "name", "uid"):
            found = db.execute(
                f"SELECT id FROM runs WHERE {column}=? ORDER BY started DESC LIMIT 1", (key,)
            ).fetchone()
            if found is not None:
                return int(found[0])
        return 0

    def _unknown(self, key: str) -> RefusedError:
        with self.reading() as db:
            known = [name for (name,) in db.execute("SELECT key FROM runs ORDER BY started DESC LIMIT 1000")]
        near = did_you_mean(key, known)
        return RefusedError(
            "TIP211",
            f"the records know no run {key!r}.{near}",
            where=str(self.store.root),
            cause="" if near else f"the last runs: {', '.join(known[:5]) or 'none'}",
            fix="`tiphys list --local` lists them; --store names another folder",
        )


def _next(db: sqlite3.Connection) -> int:
    db.execute("UPDATE counter SET last=last+1")
    return int(db.execute("SELECT last FROM counter").fetchone()[0])


def _after(prefix: str) -> str:
    """Higher than every text that begins so."""
    return prefix + "\U0010ffff"
