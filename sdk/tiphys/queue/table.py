"""A table that engines share: its rows name the process that wrote them, by PID and start time, so that those of a dead
one are known."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tiphys.errors import StoreError
from tiphys.queue.wake import listen
from tiphys.store.files import clear
from tiphys.store.sqlite import connect, heed_full_disk, transaction, until_free

__all__ = ["LOOK_AGAIN", "InheritedTable", "SharedTable", "boot_id", "process_start", "version"]

LOOK_AGAIN = 0.25  # seconds: who waits looks this often where the kernel does not tell of changes
_ALIVE = 0.9  # seconds that an engine is taken to live: of those that were killed the table does not tell


@functools.cache
def boot_id() -> str:
    """What the kernel calls this time that the machine is up. Raises OSError."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        return stream.read().strip()


def process_start(pid: int) -> str:
    """What tells this process from an earlier one with its PID: boot and start time; empty for a dead one."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()
        if fields[0] in (b"Z", b"X"):
            return ""
        return f"{boot_id()[:8]}:{fields[19].decode()}"
    except OSError:
        return ""


def version(db: sqlite3.Connection) -> int:
    """What changes when another connection has changed the file."""
    return int(db.execute("PRAGMA data_version").fetchone()[0])


class SharedTable:
    """One SQLite file. Safe for several threads and processes. Raises StoreError TIP452 where it cannot be used."""

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        self._schema = schema
        self._guard = threading.Lock()
        self._pid = os.getpid()
        self._start = process_start(self._pid)
        self._seen = -1  # what :meth:`changes` gave at the last news
        self._asked = -_ALIVE  # when that was, in seconds of the monotonic clock
        with clear(path):
            try:
                self._db = connect(path)
                with self._db.turn():
                    until_free(self._prepare)
            except (sqlite3.Error, TypeError, ValueError) as error:  # the last two: of a damaged table
                heed_full_disk(error, path)
                raise StoreError(
                    "TIP452", f"the lock table cannot be opened: {error}", where=str(path)
                ) from error

    @property
    def me(self) -> tuple[int, str]:
        """What a row of this process says."""
        return self._pid, self._start

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def listen(self) -> int | None:
        """A descriptor, the caller's, that can be read when the table was written, by whomever; None where the kernel
        gives none."""
        return listen(self.path.with_name(f"{self.path.name}-wal"))

    def changes(self) -> int:
        """A number that changes when another engine has changed the table; to ask waits for nobody."""
        with self.looking() as db:
            return version(db)

    def news(self) -> bool:
        """Whether who waits should ask again: another engine has changed something, or may have been killed."""
        changes, now = self.changes(), time.monotonic()
        if changes == self._seen and now - self._asked < _ALIVE:
            return False
        self._seen, self._asked = changes, now
        return True

    def lives(self, pid: int, start: str) -> bool:
        """Whether the process that a row names lives."""
        return (pid, start) == self.me or process_start(pid) == start

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Change it, when it is this one's turn."""
        with self.looking() as db, transaction(self._db):
            yield db

    @contextlib.contextmanager
    def looking(self) -> Iterator[sqlite3.Connection]:
        """Look at it, which disturbs nobody."""
        with self._guard, clear(self.path):
            try:
                yield self._db
            except (sqlite3.Error, TypeError, ValueError) as error:  # the last two: of a damaged table
                heed_full_disk(error, self.path)
                raise StoreError("TIP452", f"the lock table failed: {error}", where=str(self.path)) from error

    def _prepare(self) -> None:
        """Make the tables, unless they are there."""
        # what is held need not survive a power cut: its holder does not either
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(self._schema)


_HEIRS = """
CREATE TABLE IF NOT EXISTS heirs(
  pid INTEGER, start TEXT, heir INTEGER, since TEXT, PRIMARY KEY(pid, start, heir)) WITHOUT ROWID;
"""


class InheritedTable(SharedTable):
    """One in which what an engine holds is held as long as one of its heirs lives: the keeper of its steps, which go on
    for a while after it was killed."""

    def __init__(self, path: Path, schema: str) -> None:
        self._heirs: set[int] = set()
        super().__init__(path, _HEIRS + schema)

    def inherit(self, heir: int) -> None:
        """When this process is killed, what it holds is held until the process ``heir`` has ended, too."""
        if heir not in self._heirs:
            self._heirs.add(heir)
            row = (*self.me, heir, process_start(heir))
            with self.transaction() as db:
                db.execute("INSERT OR REPLACE INTO heirs VALUES(?,?,?,?)", row)

    def disinherit(self, db: sqlite3.Connection) -> None:
        """Nothing is held any more."""
        for heir in self._heirs:
            db.execute("DELETE FROM heirs WHERE pid=? AND start=? AND heir=?", (*self.me, heir))

    def holds(self, db: sqlite3.Connection, pid: int, start: str) -> bool:
        """Whether a process or an heir of it lives."""
        if self.lives(pid, start):
            return True
        rows = db.execute("SELECT heir, since FROM heirs WHERE pid=? AND start=?", (pid, start)).fetchall()
        return any(process_start(heir) == since for heir, since in rows)
