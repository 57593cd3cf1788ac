"""Devices of this machine that all engines of a user share: who holds which, and who waits.

Unlike :mod:`tiphys.queue.locks` the table is the user's and not a store's: two stores are on one machine. What a row
of it is worth is the same: that of a dead engine is void, unless an heir of the row lives, the keeper of steps that go
on or a server that was left running. Who gets what is for :func:`tiphys.queue.pool.admit` to say.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from pathlib import Path

from tiphys.errors import StoreError
from tiphys.queue.pool import Short, Wanted, admit
from tiphys.queue.table import SharedTable, process_start

__all__ = ["Devices", "users_table"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS holders(
  device TEXT PRIMARY KEY, place INTEGER, holder TEXT, pid INTEGER, start TEXT, heir INTEGER, since TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiters(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, holder TEXT UNIQUE, count INTEGER, members TEXT, pid INTEGER, start TEXT);
"""


def users_table() -> Path:
    """Where the table of this user is, on this machine and nowhere else: ``/tmp/tiphys-UID/devices.db``.

    Raises StoreError TIP453 when the folder is not this user's alone.
    """
    folder = Path(f"/tmp/tiphys-{os.geteuid()}")  # not TMPDIR: all engines of the user must meet here
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StoreError("TIP453", f"no table of devices can be kept: {error}", where=str(folder)) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise StoreError(
            "TIP453",
            "no table of devices can be kept: the folder is not this user's alone",
            where=str(folder),
            cause="engines that share a machine tell one another there which GPUs they use",
            fix="remove it, or have its owner remove it",
        )
    return folder / "devices.db"


class Devices(SharedTable):
    """The devices' table. What was taken through this object is given back with :meth:`close`, what was left to an heir
    alone excepted."""

    def __init__(self, path: Path) -> None:
        self._mine: set[str] = set()
        super().__init__(path, _SCHEMA)

    def take(self, request: Wanted, *, heir: int = 0) -> tuple[str, ...] | Short:
        """What the holder gets: all that it asks for, or a place in the queue, which it keeps by asking again.

        Who holds some already, also as the one that a killed engine left, has those. ``heir``: a process until whose
        end it holds them even if this one is killed.
        """
        self._mine.add(request.holder)
        with self.transaction() as db:
            if had := self._had(db, request.holder):
                if len(had) == request.count and set(had) <= set(request.members):
                    self._own(db, request.holder, heir)
                    return had
                db.execute("DELETE FROM holders WHERE holder=?", (request.holder,))
            db.execute(
                "INSERT INTO waiters(holder, count, members, pid, start) VALUES(?,?,?,?,?)"
                " ON CONFLICT(holder) DO UPDATE SET count=excluded.count, members=excluded.members,"
                " pid=excluded.pid, start=excluded.start",
                (request.holder, request.count, json.dumps(request.members), *self.me),
            )
            self._bury(db)
            waiting = [
                Wanted(holder, count, tuple(json.loads(members)))
                for holder, count, members in db.execute(
                    "SELECT holder, count, members FROM waiters ORDER BY seq"
                )
            ]
            held = {row[0] for row in db.execute("SELECT device FROM holders")}
            answer = admit(waiting, held)[request.holder]
            if isinstance(answer, Short):
                return answer
            db.execute("DELETE FROM waiters WHERE holder=?", (request.holder,))
            db.executemany(
                "INSERT INTO holders(device, place, holder) VALUES(?,?,?)",
                [(device, place, request.holder) for place, device in enumerate(answer)],
            )
            self._own(db, request.holder, heir)
            return answer

    def give_back(self, *holders: str) -> bool:
        """Give back what these hold, or their places in the queue; whether anybody held something."""
        self._mine.difference_update(holders)
        rows = [(holder,) for holder in holders]
        with self.transaction() as db:
            db.executemany("DELETE FROM waiters WHERE holder=?", rows)
            return db.executemany("DELETE FROM holders WHERE holder=?", rows).rowcount > 0

    def leave(self, holder: str, heir: int) -> None:
        """From now on a holder has what it has until the process ``heir`` ends, whatever becomes of this one."""
        row = (heir, process_start(heir), holder)
        with self.transaction() as db:
            db.execute("UPDATE holders SET pid=?, start=?, heir=0, since='' WHERE holder=?", row)
        self._mine.discard(holder)

    def adopt(self, prefix: str, *, heir: int = 0) -> dict[str, tuple[str, ...]]:
        """Take over what a killed engine's holders with this prefix hold, and all that they wait for is void."""
        with self.transaction() as db:
            self._bury(db)
            where = "substr(holder, 1, ?)=?"
            given = (len(prefix), prefix)
            db.execute(f"DELETE FROM waiters WHERE {where}", given)
            names = [
                row[0] for row in db.execute(f"SELECT DISTINCT holder FROM holders WHERE {where}", given)
            ]
            found = {name: self._had(db, name) for name in names}
            for name in names:
                self._own(db, name, heir)
        self._mine.update(names)
        return found

    def held(self) -> dict[str, str]:
        """Who holds which device."""
        with self.transaction() as db:
            self._bury(db)
            return dict(db.execute("SELECT device, holder FROM holders ORDER BY device").fetchall())

    def close(self) -> None:
        """Give back what was taken or waited for through this object, and close the table."""
        if self._mine:
            self.give_back(*self._mine)
        super().close()

    # -- inside -----------------------------------------------------------------------------------------------

    def _had(self, db: sqlite3.Connection, holder: str) -> tuple[str, ...]:
        rows = db.execute("SELECT device FROM holders WHERE holder=? ORDER BY place", (holder,))
        return tuple(row[0] for row in rows)

    def _own(self, db: sqlite3.Connection, holder: str, heir: int) -> None:
        row = (*self.me, heir, process_start(heir) if heir else "", holder)
        db.execute("UPDATE holders SET pid=?, start=?, heir=?, since=? WHERE holder=?", row)

    def _bury(self, db: sqlite3.Connection) -> None:
        """Clear away what dead engines left."""
        dead = [row for row in db.execute("SELECT DISTINCT pid, start FROM waiters") if not self.lives(*row)]
        db.executemany("DELETE FROM waiters WHERE pid=? AND start=?", dead)
        for row in db.execute("SELECT DISTINCT pid, start, heir, since FROM holders").fetchall():
            pid, start, heir, since = row
            if not self.lives(pid, start) and not (heir and process_start(heir) == since != ""):
                db.execute("DELETE FROM holders WHERE pid=? AND start=? AND heir=? AND since=?", row)
