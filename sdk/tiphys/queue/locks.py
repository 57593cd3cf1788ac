"""Semaphores and mutexes shared by every engine that uses the store.

The rules are Argo's (workflow/sync): a holder takes all its locks or none; the queue of a lock is ordered by
priority (higher first), then creation time, then arrival; only the front of the queue may take a free permit,
where "front" is compared by workflow, so any node of the front workflow may.

Locks in Argo's database are the same here: the table is shared by all engines anyway. The limits of their semaphores
stand in ``sync_limit``, a table with the name and the columns of Argo's.

Locks are rows in SQLite that name the engine's process by PID and start time: those of a dead engine are void, but for
what it leaves to its heirs. It waits for nothing any more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from tiphys.frozen import frozen
from tiphys.queue.table import InheritedTable

__all__ = ["Granted", "Lock", "Locks", "Outcome", "Refused", "Waiting"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS holders(
  lock TEXT, holder TEXT, workflow TEXT, pid INTEGER, start TEXT, PRIMARY KEY(lock, holder)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiters(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, lock TEXT, holder TEXT, workflow TEXT, priority INTEGER, created REAL,
  pid INTEGER, start TEXT, UNIQUE(lock, holder));
CREATE INDEX IF NOT EXISTS queue ON waiters(lock, priority DESC, created, seq);
CREATE TABLE IF NOT EXISTS sync_limit(name TEXT PRIMARY KEY, sizelimit INTEGER NOT NULL) WITHOUT ROWID;
"""


_FRONT = "WHERE lock=? ORDER BY priority DESC, created, seq LIMIT 1"


@frozen
class Granted:
    """All locks were taken."""


@frozen
class Waiting:
    """``lock`` is not free, or it is another workflow's turn."""

    lock: str
    message: str


@frozen
class Refused:
    """The locks can never be taken."""

    message: str


Outcome = Granted | Waiting | Refused


@frozen
class Lock:
    """One row of :meth:`Locks.table`: ``limit`` is that of a database semaphore; ``waiting`` is in the order of the
    queue."""

    name: str
    limit: int | None = None
    holders: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


class Locks(InheritedTable):
    """The lock table of one store. Safe for several threads and processes."""

    def __init__(self, path: Path) -> None:
        self._holders: set[str] = set()
        super().__init__(path, _SCHEMA)

    def close(self) -> None:
        """Give back everything that was taken or waited for through this object, and close the table.

        Other runs of this process have objects of their own.
        """
        with self.transaction() as db:
            for table in ("holders", "waiters"):
                for holder in self._holders:
                    db.execute(f"DELETE FROM {table} WHERE holder=?", (holder,))
            self.disinherit(db)
        super().close()

    def acquire(
        self,
        holder: str,
        locks: Sequence[str],
        *,
        workflow: str,
        limits: Mapping[str, int],
        priority: int = 0,
        created: float = 0.0,
    ) -> Outcome:
        """Try to take all ``locks`` for ``holder``; when one is not to be had, wait in every queue.

        ``limits`` has the number of permits of each semaphore; a lock without an entry is a mutex.
        """
        if len(set(locks)) != len(locks):
            return Refused("duplicate synchronization lock")
        self._holders.add(holder)
        with self.looking() as db:
            vain = self._in_vain(db, locks, holder, workflow, limits)
        if vain is not None:
            return vain
        with self.transaction() as db:
            for lock in locks:
                db.execute(
                    "INSERT OR IGNORE INTO waiters(lock, holder, workflow, priority, created, pid, start)"
                    " SELECT ?,?,?,?,?,?,? WHERE NOT EXISTS(SELECT 1 FROM holders WHERE lock=? AND holder=?)",
                    (lock, holder, workflow, priority, created, self._pid, self._start, lock, holder),
                )
            for lock in locks:
                waiting = self._blocked(db, lock, holder, workflow, limits.get(lock))
                if waiting is not None:
                    return waiting
            for lock in locks:
                db.execute("DELETE FROM waiters WHERE lock=? AND holder=?", (lock, holder))
                db.execute(
                    "INSERT OR REPLACE INTO holders VALUES(?,?,?,?,?)",
                    (lock, holder, workflow, self._pid, self._start),
                )
        return Granted()

    def release(self, *holders: str) -> bool:
        """Give back all locks of ``holders`` and leave all queues; whether they held any."""
        self._holders.difference_update(holders)
        rows = [(holder,) for holder in holders]
        with self.transaction() as db:
            db.executemany("DELETE FROM waiters WHERE holder=?", rows)
            return db.executemany("DELETE FROM holders WHERE holder=?", rows).rowcount > 0

    def forsake(self, workflow: str) -> None:
        """Give back what killed engines held for a workflow of which nothing goes on, whatever heirs they have."""
        with self.transaction() as db:
            rows = db.execute(
                "SELECT DISTINCT pid, start FROM holders WHERE workflow=?", (workflow,)
            ).fetchall()
            for pid, start in rows:
                if not self.lives(pid, start):
                    db.execute(
                        "DELETE FROM holders WHERE workflow=? AND pid=? AND start=?", (workflow, pid, start)
                    )

    def table(self) -> list[Lock]:
        """The locks that somebody holds or waits for, and the database semaphores that have a limit, by name."""
        with self.transaction() as db:
            self._bury(db)
            limits = dict(db.execute("SELECT name, sizelimit FROM sync_limit").fetchall())
            held = db.execute("SELECT lock, holder FROM holders ORDER BY holder").fetchall()
            wanted = db.execute(
                "SELECT lock, holder FROM waiters ORDER BY priority DESC, created, seq"
            ).fetchall()
        found = {}
        for key, limit in limits.items():
            name = "/Database/".join(key.split("/", 1))
            found[name] = Lock(name, limit)
        for lock, holder in held:
            found.setdefault(lock, Lock(lock)).holders.append(holder)
        for lock, holder in wanted:
            found.setdefault(lock, Lock(lock)).waiting.append(holder)
        return [found[name] for name in sorted(found)]

    def limit(self, key: str) -> int | None:
        """The limit of the database semaphore ``key`` (``namespace/name``); None without one."""
        with self.transaction() as db:
            row = db.execute("SELECT sizelimit FROM sync_limit WHERE name=?", (key,)).fetchone()
        return None if row is None else int(row[0])

    def set_limit(self, key: str, limit: int | None) -> None:
        """Give the database semaphore ``key`` a limit, or take it away (None)."""
        with self.transaction() as db:
            db.execute("DELETE FROM sync_limit WHERE name=?", (key,))
            if limit is not None:
                db.execute("INSERT INTO sync_limit VALUES(?,?)", (key, limit))

    # -- inside -----------------------------------------------------------------------------------------------

    def _in_vain(
        self,
        db: sqlite3.Connection,
        locks: Sequence[str],
        holder: str,
        workflow: str,
        limits: Mapping[str, int],
    ) -> Waiting | None:
        """Whether a holder that stands in all queues must go on waiting for somebody who lives.

        It is only looked, which disturbs nobody: of many that wait, those whose turn it is not leave the others alone.
        """
        for lock in locks:
            queued = "SELECT 1 FROM waiters WHERE lock=? AND holder=?"
            if not db.execute(queued, (lock, holder)).fetchone():
                return None
        for lock in locks:
            mine, free, front = self._state(db, lock, holder, workflow, limits.get(lock))
            if mine or (free > 0 and front == workflow):
                continue
            held = db.execute("SELECT DISTINCT pid, start FROM holders WHERE lock=?", (lock,)).fetchall()
            first = db.execute(f"SELECT pid, start FROM waiters {_FRONT}", (lock,)).fetchall()
            if all(self.holds(db, *each) for each in held) and all(self.lives(*each) for each in first):
                return _waiting(lock, free, limits.get(lock))
            return None
        return None

    def _blocked(
        self, db: sqlite3.Connection, lock: str, holder: str, workflow: str, given: int | None
    ) -> Waiting | None:
        mine, free, front = self._state(db, lock, holder, workflow, given)
        if mine:
            return None
        if free <= 0 or front != workflow:
            self._bury(db, lock)
            mine, free, front = self._state(db, lock, holder, workflow, given)
            if free <= 0 or front != workflow:
                return _waiting(lock, free, given)
        return None

    def _state(
        self, db: sqlite3.Connection, lock: str, holder: str, workflow: str, given: int | None
    ) -> tuple[bool, int, str]:
        """Whether it holds the lock, how many permits are free, and which workflow is at the front of the queue."""
        rows = db.execute("SELECT holder FROM holders WHERE lock=?", (lock,)).fetchall()
        front = db.execute(f"SELECT workflow FROM waiters {_FRONT}", (lock,)).fetchone()
        free = (1 if given is None else given) - len(rows)
        return any(row[0] == holder for row in rows), free, front[0] if front else workflow

    def _bury(self, db: sqlite3.Connection, lock: str = "") -> None:
        """Clear away what dead engines left in the rows of ``lock``, or in all."""
        where, given = ("WHERE lock=?", (lock,)) if lock else ("", ())
        for table in ("holders", "waiters"):
            rows = db.execute(f"SELECT DISTINCT pid, start FROM {table} {where}", given).fetchall()
            for pid, start in rows:
                if not self.lives(pid, start):
                    db.execute("DELETE FROM waiters WHERE pid=? AND start=?", (pid, start))
                if not self.holds(db, pid, start):
                    for each in ("holders", "heirs"):
                        db.execute(f"DELETE FROM {each} WHERE pid=? AND start=?", (pid, start))


def _waiting(lock: str, free: int, given: int | None) -> Waiting:
    limit = 1 if given is None else given
    namespace, kind, name = (*lock.split("/", 2), "", "")[:3]
    if kind != "Database":
        return Waiting(lock, f"Waiting for {lock} lock. Lock status: {max(free, 0)}/{limit}")
    # of these Argo tells the row of its table, and how many hold it, not how many are free
    row = f"{'mtx' if given is None else 'sem'}/{namespace}/{name}"
    return Waiting(lock, f"Waiting for {lock} lock ({row}). Lock status: {limit - free}/{limit}")
