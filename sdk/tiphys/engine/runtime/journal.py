"""The durable record of a run: every event, in order, in SQLite.

Events are written before the commands that they cause are carried out; all events that arrive together share one
commit. Replaying the events through a new machine gives the same state, so a run that was killed goes on from here.

The disk is waited for while what they begin runs (:meth:`Journal.commit`; SQLite does not, ``synchronous=NORMAL``). A
power cut before takes the last events, none from between: what they had begun has ended with the power, and begins
anew.

What other processes ask of a run is written here, too, and answered in the commit of the event it became: it is
carried out once, whoever is killed when.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiphys.engine.machine import protocol
from tiphys.engine.machine.protocol import Event
from tiphys.engine.objects.workflow import MAKER
from tiphys.engine.runtime import withheld
from tiphys.errors import RefusedError, StoreError
from tiphys.store import sqlite
from tiphys.store.files import clear, sync_folder

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import KubeObject
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["Journal", "decode", "encode"]

GONE = "the run was retried meanwhile"
_TABLES = (
    "facts(name TEXT PRIMARY KEY, value TEXT, sum INTEGER) WITHOUT ROWID",
    "events(seq INTEGER PRIMARY KEY, kind TEXT, body TEXT, sum INTEGER)",
    "objects(kind TEXT, name TEXT, body TEXT, sum INTEGER, PRIMARY KEY(kind, name)) WITHOUT ROWID",
    "requests(seq INTEGER PRIMARY KEY, kind TEXT, body TEXT, answer TEXT, sum INTEGER)",
)
_VERSION = 1  # of the tables (user_version): 0 has no column for sums
_KINDS = {
    name: getattr(protocol, name) for name in protocol.__all__ if isinstance(getattr(protocol, name), type)
}
_FIELDS = {
    kind: tuple(field.name for field in dataclasses.fields(kind))
    for kind in _KINDS.values()
    if dataclasses.is_dataclass(kind)
}
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=dict).encode

# when the engine is killed before these are written, the pod runs again or the wait is told again
_SOFT = (
    protocol.PodRunning,
    protocol.PodWaiting,
    protocol.PodSays,
    protocol.PodProgress,
    protocol.LocksWaiting,
)


def _create(table: str) -> str:
    return f"CREATE TABLE IF NOT EXISTS {table}"


def encode(event: Event) -> tuple[str, str]:
    """An event as (kind, JSON)."""
    kind = type(event)
    body = {name: getattr(event, name) for name in _FIELDS[kind]}
    return kind.__name__, _encode(body)


def decode(kind: str, body: str) -> Event:
    """The event of :func:`encode`."""
    event: Event = _KINDS[kind](**json.loads(body))
    return event


def _sum(*parts: str) -> int:
    return zlib.crc32("\0".join(parts).encode(errors="surrogatepass"))


class Journal:
    """The journal of one run (``runs/NAME/journal.db``).

    Each row has a sum over what it holds, which is checked when it is read: TIP451 where a bit has changed.

    Parameters
    ----------
    reading:
        Nothing is written, on no way: for those who only look, also at a store that is read-only or somebody else's.

    Raises
    ------
    RefusedError
        TIP213: it was written by a later version of tiphys. What an earlier one wrote is read, and taken over by the
        first that writes.
    StoreError
        TIP451: it is damaged; TIP411, TIP412: its file cannot be read or written.
    """

    def __init__(self, path: Path, *, reading: bool = False) -> None:
        self.path = path
        if reading:
            with clear(path, "read"), self._named():
                sqlite.present(path)  # says what is wrong; SQLite does not
                self._db = sqlite.reading(path)
                self._version()
        else:
            self._open(path)
        self._reading = reading
        self._looked = self._made = self._sums = False
        with self._named():
            self._look()
        self._batch: list[tuple[str, str]] = []
        self._urgent = False
        self._objects: dict[tuple[str, str], str | None] = {}
        self._secrets: dict[str, Mapping[str, object] | None] = {}
        self._answers: dict[int, str] = {}
        self._log = -1  # SQLite's (WAL), to wait for
        self._unsynced = False

    def _open(self, path: Path) -> None:
        with clear(path), self._named():
            if not path.exists():  # for its owner alone: arguments and outputs are nobody else's
                sqlite.lay_out(path, [*map(_create, _TABLES), f"PRAGMA user_version={_VERSION}"])
            sqlite.present(path, write=True)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            version = self._version()
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            if version < _VERSION:
                self._migrate()

    def _migrate(self) -> None:
        """Make the tables. What an earlier version wrote gets its column for sums; what is in it is not checked."""
        with sqlite.transaction(self._db):
            for table in _TABLES:
                self._db.execute(_create(table))
                name = table.partition("(")[0]
                if "sum" not in self._columns(name):
                    self._db.execute(f"ALTER TABLE {name} ADD COLUMN sum INTEGER")
            self._db.execute(f"PRAGMA user_version={_VERSION}")

    def _columns(self, table: str) -> list[str]:
        return [row[1] for row in self._db.execute(f"PRAGMA table_info({table})")]

    def _look(self) -> bool:
        """Whether its tables are there: a reader may come before they are, and opens it again."""
        if self._made:
            return True
        if self._reading and self._looked:
            self._db.close()
            self._db = sqlite.reading(self.path)
        self._looked = True
        columns = self._columns("requests")  # the last one that is made
        self._made, self._sums = bool(columns), "sum" in columns
        return self._made

    def _version(self) -> int:
        """The version of its tables. Raises RefusedError TIP213 for a later one than is known here."""
        found = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if found > _VERSION:
            self._db.close()
            raise RefusedError(
                "TIP213",
                f"the journal of {self.path.parent.name!r} is of a later version of tiphys ({found})",
                where=str(self.path),
                fix="use that version",
            )
        return found

    # -- facts: what the machine was made from --------------------------------------------------------------

    def write_facts(self, facts: Mapping[str, object]) -> None:
        with self._named():
            self._db.execute("BEGIN IMMEDIATE")
            for name, value in facts.items():
                self._put_fact(name, value)
            self._db.execute("COMMIT")
        self._await_disk()

    def _put_fact(self, name: str, value: object) -> None:
        text = json.dumps(value)
        self._db.execute(
            "INSERT OR REPLACE INTO facts(name, value, sum) VALUES(?,?,?)", (name, text, _sum(name, text))
        )

    def facts(self) -> JsonObject:
        with self._named():
            return {name: json.loads(value) for name, value in self._rows("facts", "name, value")}

    def fact(self, name: str) -> Json:
        """One of the facts, or None."""
        with self._named():
            found: list[Json] = [
                json.loads(value) for _, value in self._rows("facts", "name, value", "WHERE name=?", name)
            ]
        return found[0] if found else None

    def _rows(self, table: str, columns: str, rest: str = "", *values: object) -> Iterator[tuple[Any, ...]]:
        """Rows whose sum is right: it is over all that is asked for, but the number of the row.

        None of a journal that an engine is making at this moment, or was killed while it did.
        """
        if not self._look():
            return
        sums = ", sum" if self._sums else ", NULL"
        for *row, total in self._db.execute(f"SELECT {columns}{sums} FROM {table} {rest}", values):
            if total is not None and total != _sum(*(str(item) for item in row)):
                raise ValueError(f"the sum of a row of {table} is wrong")
            yield tuple(row)

    def restart(self, facts: Mapping[str, object]) -> None:
        """Begin the run anew with other facts, all at once: its events go, its resource objects stay, but for the
        workflows that it made: what runs again makes them anew."""
        with self._named():
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM events")
            self._db.execute("DELETE FROM facts")
            self._db.execute("DELETE FROM objects WHERE kind IN ('Workflow', ?)", (MAKER,))
            self._db.execute("UPDATE requests SET answer=? WHERE answer IS NULL", (GONE,))
            for name, value in facts.items():
                self._put_fact(name, value)
            self._db.execute("COMMIT")
        self._await_disk()

    # -- requests: what other processes ask of the run --------------------------------------------------------

    def request(self, event: Event) -> int:
        """Write down what is asked, and wait for the disk; returns its number."""
        with clear(self.path), self._named():
            kind, body = encode(event)
            row = self._db.execute(
                "INSERT INTO requests(kind, body, sum) VALUES(?,?,?)", (kind, body, _sum(kind, body))
            )
            self._await_disk()
            return int(row.lastrowid or 0)

    def requests(self) -> list[tuple[int, Event]]:
        """What is asked and not answered, in the order of arrival."""
        with self._named():
            numbers = self._db.execute(
                "SELECT seq FROM requests WHERE answer IS NULL ORDER BY seq"
            ).fetchall()
            return [
                (seq, decode(kind, body))
                for (seq,) in numbers
                if seq not in self._answers
                for kind, body in self._rows("requests", "kind, body", "WHERE seq=?", seq)
            ]

    def answer(self, number: int, text: str = "") -> None:
        """Answer a request with the next commit: an empty text for done, else why not."""
        self._answers[number] = text
        self._urgent = True

    def answered(self, number: int) -> str | None:
        """The answer to a request; None while there is none."""
        with self._named():
            row = self._db.execute("SELECT answer FROM requests WHERE seq=?", (number,)).fetchone()
            return None if row is None or row[0] is None else str(row[0])

    # -- events -----------------------------------------------------------------------------------------------

    def append(self, event: Event) -> None:
        """Add to the batch that :meth:`commit` writes."""
        self._batch.append(encode(event))
        self._urgent = self._urgent or not isinstance(event, _SOFT)

    def put_object(self, kind: str, name: str, value: Mapping[str, object] | None) -> None:
        """Remember a resource object (None: it was deleted) with the next commit."""
        if kind == withheld.SECRET:
            self._secrets[name] = value
            value = value and withheld.hollow(value)
        self._objects[kind, name] = None if value is None else json.dumps(value, separators=(",", ":"))

    @property
    def pending(self) -> bool:
        """Whether something waits for the next commit."""
        return bool(self._batch)

    def flush(self) -> None:
        """Commit what waits for the next commit, too: those who look from outside shall see it."""
        self._urgent = self._urgent or bool(self._batch)
        self.commit()

    def commit(self, *, wait: bool = True) -> None:
        """Write the batch, and ``wait`` for the disk, or leave that to the next one that does; what alone changes
        nothing that a resume needs waits for the next commit. Raises StoreError (TIP411 for a full disk)."""
        if self._urgent or self._objects:
            self._write()
            self._unsynced = True
        if wait and self._unsynced:
            self._await_disk()

    def _write(self) -> None:
        withheld.note_made(self.path.parent, self._secrets)
        self._secrets.clear()
        with clear(self.path), self._named():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(
                    "INSERT INTO events(kind, body, sum) VALUES(?,?,?)",
                    ((kind, body, _sum(kind, body)) for kind, body in self._batch),
                )
                for (kind, name), body in self._objects.items():
                    if body is None:
                        self._db.execute("DELETE FROM objects WHERE kind=? AND name=?", (kind, name))
                    else:
                        self._db.execute(
                            "INSERT OR REPLACE INTO objects(kind, name, body, sum) VALUES(?,?,?,?)",
                            (kind, name, body, _sum(kind, name, body)),
                        )
                for number, text in self._answers.items():
                    self._db.execute("UPDATE requests SET answer=? WHERE seq=?", (text, number))
                self._db.execute("COMMIT")
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        self._batch.clear()
        self._objects.clear()
        self._answers.clear()
        self._urgent = False

    def _await_disk(self) -> None:
        with clear(self.path):
            if self._log < 0:  # it may be new: the folder has to know it
                self._log = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)
                sync_folder(self.path.parent)
            getattr(os, "fdatasync", os.fsync)(self._log)  # macOS has the other alone
        self._unsynced = False

    def events(self) -> Iterator[Event]:
        """All events, oldest first."""
        for _, event in self.events_after(0):
            yield event

    def events_after(self, number: int) -> Iterator[tuple[int, Event]]:
        """The events that came after event ``number``, each with its own."""
        with self._named():
            if not self._look():
                return
            sums = "sum" if self._sums else "NULL"
            for seq, kind, body, total in self._db.execute(
                f"SELECT seq, kind, body, {sums} FROM events WHERE seq>? ORDER BY seq", (number,)
            ):
                number += 1
                if seq != number or (total is not None and total != _sum(kind, body)):
                    raise ValueError(f"event {number} is not there, or its sum is wrong")
                yield number, decode(kind, body)

    def last(self) -> int:
        """The number of the last event."""
        with self._named():
            if not self._look():
                return 0
            return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def version(self) -> int:
        """A number that changes when another process has written."""
        with self._named():
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def objects(self) -> list[KubeObject]:
        """The resource objects that exist. Raises RefusedError TIP233 for a Secret that is not kept any more."""
        whole = withheld.made(self.path.parent, self.path.parent.name)
        with self._named():
            return [
                whole(json.loads(body))
                for _, _, body in self._rows("objects", "kind, name, body", "ORDER BY kind, name")
            ]

    def close(self) -> None:
        self._db.close()
        if self._log >= 0:
            os.close(self._log)
            self._log = -1

    def _named(self) -> _Named:
        return _Named(self.path)


class _Named:
    """Turns sqlite3 errors, and what cannot be decoded, into StoreErrors."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValueError | KeyError | TypeError | RecursionError | MemoryError):
            raise StoreError(
                "TIP451",
                f"the journal is damaged: {error or type(error).__name__}",
                where=str(self._path),
                cause="what is in it is not what was written",
                fix="start the run anew",
            ) from error
        if isinstance(error, sqlite3.Error):
            sqlite.heed_full_disk(error, self._path)
            raise StoreError(
                "TIP451",
                f"the journal cannot be used: {error}",
                where=str(self._path),
                fix="start the run anew",
            ) from error
