"""The SQLite file of a store's cache entries: opened by many engines at once, each change one transaction.

A write-ahead log: who reads never waits for who writes. What a killed process had not committed has not happened.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from tiphys.errors import StoreError
from tiphys.store.files import clear
from tiphys.store.sqlite import connect, heed_full_disk, transaction, until_free

__all__ = ["CacheFile"]

_VERSION = 2
_PAGES = 8000  # of the log until they are written back: who does it waits for the disk, so one hit in many
_SHARED = """
CREATE TABLE things(name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, entries INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX things_free ON things(entries) WHERE entries<=0;
CREATE TABLE holds(entry INTEGER NOT NULL, thing TEXT NOT NULL, PRIMARY KEY(entry, thing)) WITHOUT ROWID;
"""
# of version 1 nobody knows what entries share
_FROM_1 = (
    _SHARED
    + """
INSERT INTO things SELECT 'entry ' || id, data, 1 FROM entries WHERE data>0;
INSERT INTO holds SELECT id, 'entry ' || id FROM entries WHERE data>0;
"""
)
_SCHEMA = (
    """
CREATE TABLE entries(
  id INTEGER PRIMARY KEY, cache TEXT NOT NULL, key TEXT NOT NULL, node TEXT NOT NULL, run TEXT NOT NULL,
  template TEXT NOT NULL, max_age TEXT NOT NULL, created REAL, hit REAL, hits INTEGER NOT NULL DEFAULT 0,
  size INTEGER NOT NULL, data INTEGER NOT NULL, UNIQUE(cache, key));
CREATE INDEX entries_hit ON entries(hit);
CREATE INDEX entries_created ON entries(created);
CREATE TABLE contents(id INTEGER PRIMARY KEY, outputs TEXT, parts TEXT NOT NULL, broken TEXT);
CREATE TABLE uses(
  id INTEGER PRIMARY KEY, cache TEXT NOT NULL, key TEXT NOT NULL, run TEXT NOT NULL, step TEXT NOT NULL,
  template TEXT NOT NULL, at REAL NOT NULL, hit INTEGER NOT NULL, why TEXT NOT NULL, parts TEXT NOT NULL);
CREATE TABLE seen(
  path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, ctime INTEGER, inode INTEGER, device INTEGER, sha256 TEXT,
  at REAL) WITHOUT ROWID;
CREATE TABLE freed(key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE settings(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE totals(one INTEGER PRIMARY KEY CHECK(one = 1), entries INTEGER NOT NULL, bytes INTEGER NOT NULL,
  swept REAL NOT NULL);
INSERT INTO totals VALUES(1, 0, 0, 0);
"""
    + _SHARED
)


class CacheFile:
    """One connection to the file; safe for several threads, and beside other processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.RLock()
        with clear(path):
            try:
                self._db = connect(path)
            except sqlite3.Error as error:
                raise self._problem(error) from error
        try:
            with clear(path), self._db.turn():
                until_free(self._prepare)
        except BaseException as error:
            self._db.close()
            if isinstance(error, sqlite3.Error | TypeError | ValueError):
                raise self._problem(error) from error
            raise

    def close(self) -> None:
        """Close the connection."""
        with self._guard:
            self._db.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one statement that reads, and for making of its rows what they are. Raises StoreError."""
        with self._guard, clear(self.path):
            try:
                yield self._db
            # of the last two: a damaged table has rows that it cannot have
            except (sqlite3.Error, TypeError, ValueError) as error:
                raise self._problem(error) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection in a transaction: all of it is written, or nothing. Raises StoreError."""
        with self.reading() as db, transaction(db):
            yield db

    def _prepare(self) -> None:
        """Make the tables, unless they are there."""
        self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # of a new file
        self._db.execute("PRAGMA journal_mode=WAL")
        # a killed process loses nothing; a power cut may take the last entries, never the file
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(f"PRAGMA wal_autocheckpoint={_PAGES}")
        if self._version() == _VERSION:
            return
        with transaction(self._db):
            if (found := self._version()) != _VERSION:
                for statement in _statements(_FROM_1 if found else _SCHEMA):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={_VERSION}")

    def _version(self) -> int:
        found = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if not 0 <= found <= _VERSION:
            raise StoreError(
                "TIP425",
                f"the table of cache entries is of version {found}, this Tiphys reads {_VERSION}",
                where=str(self.path),
                fix="use the newer Tiphys, or another folder with --store",
            )
        return found

    def _problem(self, error: Exception) -> StoreError:
        heed_full_disk(error, self.path)
        return StoreError(
            "TIP425",
            f"the table of cache entries cannot be used: {error}",
            where=str(self.path),
            cause="the file is damaged, or another process holds it for long",
            fix=f"if it is damaged delete {self.path.name}* beside it: it is only a cache, and is made anew",
        )


def _statements(script: str) -> Iterator[str]:
    """The statements of a script (``executescript`` would commit what goes on)."""
    text = ""
    for piece in script.split(";"):
        text += piece + ";"
        if sqlite3.complete_statement(text):
            if text.strip(" \n;"):
                yield text
            text = ""
