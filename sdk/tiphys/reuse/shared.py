"""The data that entries point to: what several share counts once, and is free when the last of them goes.

``things`` has each folder, file or artifact with its bytes and by how many entries it is held, ``holds`` which entry
holds which. All functions are for the transaction that goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Freeing", "hold", "release"]


def hold(db: sqlite3.Connection, number: int, held: Mapping[str, int]) -> int:
    """Note what the entry of this number points to: bytes by name; how many bytes no other entry holds."""
    new = 0
    for name, size in held.items():
        known = db.execute("SELECT bytes FROM things WHERE name=?", (name,)).fetchone()
        new += size - (known[0] if known else 0)  # a folder may have been sealed anew
        db.execute(
            "INSERT INTO things(name, bytes, entries) VALUES(?,?,1)"
            " ON CONFLICT(name) DO UPDATE SET bytes=excluded.bytes, entries=entries+1",
            (name, size),
        )
        db.execute("INSERT INTO holds(entry, thing) VALUES(?,?)", (number, name))
    return new


def release(db: sqlite3.Connection, numbers: Sequence[int]) -> int:
    """The entries of these numbers go; the bytes that no entry holds any more."""
    marks = ",".join("?" * len(numbers))
    held = db.execute(
        f"SELECT count(*), thing FROM holds WHERE entry IN ({marks}) GROUP BY thing", tuple(numbers)
    ).fetchall()
    if not held:
        return 0
    db.executemany("UPDATE things SET entries=entries-? WHERE name=?", held)
    db.execute(f"DELETE FROM holds WHERE entry IN ({marks})", tuple(numbers))
    freed = db.execute("SELECT coalesce(sum(bytes), 0) FROM things WHERE entries<=0").fetchone()[0]
    db.execute("DELETE FROM things WHERE entries<=0")
    return int(freed)


class Freeing:
    """What would be free if entries went, one after the other."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._left: dict[str, int] = {}

    def bytes_of(self, number: int, size: int) -> int:
        """The bytes that go with the entry of this number, whose outputs have ``size``, after those before it."""
        rows = self._db.execute(
            "SELECT t.name, t.bytes, t.entries FROM holds h JOIN things t ON t.name = h.thing WHERE h.entry=?",
            (number,),
        )
        for name, held, entries in rows:
            left = self._left[name] = self._left.get(name, entries) - 1
            if not left:
                size += held
        return size
