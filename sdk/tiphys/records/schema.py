"""The tables of the index, and the file that holds them: made, opened by several processes, made anew.

Everything in the file was read from elsewhere: a file of another version is emptied and filled again, a damaged one is
set aside. Rows name a run by its number in this file; what a run is called elsewhere is ``runs.key``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from pathlib import Path

from tiphys.errors import StoreError
from tiphys.store.files import clear
from tiphys.store.sqlite import connect, heed_full_disk, transaction, until_free

__all__ = ["FILE", "TABLES", "VERSION", "Damaged", "identity", "opened", "problem", "set_aside"]

FILE = "records.db"
VERSION = 3
"""Of the tables, and of what the fold writes into them: a change of either is a new version."""
_PAGES = 8000  # of the log until they are written back
_DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

# Of facts three orders are asked for: which runs have a value, which values has a run, which numbers are the highest.
# ``number`` is NULL for what is no number; ``value`` of a long text ends with its digest (rows.shortened).
_SCHEMA = """
CREATE TABLE runs(
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, change INTEGER NOT NULL, stamp TEXT NOT NULL,
  source TEXT NOT NULL, name TEXT NOT NULL, namespace TEXT NOT NULL, uid TEXT NOT NULL, pipeline TEXT NOT NULL,
  phase TEXT NOT NULL, message TEXT NOT NULL, created REAL NOT NULL, started REAL NOT NULL, finished REAL NOT NULL,
  duration REAL, progress TEXT NOT NULL, more TEXT NOT NULL);
CREATE INDEX runs_change ON runs(change);
CREATE INDEX runs_started ON runs(started);
CREATE INDEX runs_name ON runs(name);
CREATE INDEX runs_phase ON runs(phase);
CREATE INDEX runs_pipeline ON runs(pipeline);
CREATE INDEX runs_uid ON runs(uid);
CREATE INDEX runs_duration ON runs(duration);
CREATE TABLE names(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE facts(
  run INTEGER NOT NULL, name INTEGER NOT NULL, value TEXT NOT NULL, number REAL,
  PRIMARY KEY(run, name, value)) WITHOUT ROWID;
CREATE INDEX facts_value ON facts(name, value, run);
CREATE INDEX facts_number ON facts(name, number, run) WHERE number IS NOT NULL;
CREATE TABLE steps(
  run INTEGER NOT NULL, position INTEGER NOT NULL, node TEXT NOT NULL, name TEXT NOT NULL, template TEXT NOT NULL,
  kind TEXT NOT NULL, phase TEXT NOT NULL, message TEXT NOT NULL, hit INTEGER NOT NULL, started REAL NOT NULL,
  finished REAL NOT NULL, more TEXT NOT NULL, PRIMARY KEY(run, position)) WITHOUT ROWID;
CREATE TABLE attempts(
  run INTEGER NOT NULL, step INTEGER NOT NULL, number INTEGER NOT NULL, node TEXT NOT NULL, phase TEXT NOT NULL,
  message TEXT NOT NULL, exit_code INTEGER, started REAL NOT NULL, finished REAL NOT NULL, host TEXT NOT NULL,
  pod TEXT NOT NULL, resources TEXT NOT NULL, cause TEXT NOT NULL, PRIMARY KEY(run, step, number)) WITHOUT ROWID;
CREATE TABLE samples(
  run INTEGER NOT NULL, step INTEGER NOT NULL, position INTEGER NOT NULL, node TEXT NOT NULL, at REAL NOT NULL,
  key TEXT NOT NULL, value REAL NOT NULL, epoch INTEGER NOT NULL, worker TEXT NOT NULL,
  PRIMARY KEY(run, step, position)) WITHOUT ROWID;
CREATE TABLE events(
  run INTEGER NOT NULL, step INTEGER NOT NULL, position INTEGER NOT NULL, node TEXT NOT NULL, at REAL NOT NULL,
  event TEXT NOT NULL, message TEXT NOT NULL, worker TEXT NOT NULL, exit_code INTEGER, lost REAL NOT NULL,
  PRIMARY KEY(run, step, position)) WITHOUT ROWID;
CREATE TABLE artifacts(
  id INTEGER PRIMARY KEY, uri TEXT NOT NULL, digest TEXT NOT NULL, kind TEXT NOT NULL, UNIQUE(uri, digest));
CREATE INDEX artifacts_digest ON artifacts(digest);
CREATE INDEX artifacts_kind ON artifacts(kind, uri);
CREATE TABLE edges(
  run INTEGER NOT NULL, step INTEGER NOT NULL, made INTEGER NOT NULL, position INTEGER NOT NULL,
  name TEXT NOT NULL, artifact INTEGER NOT NULL, PRIMARY KEY(run, step, made, position)) WITHOUT ROWID;
CREATE INDEX edges_artifact ON edges(artifact, made, run, step);
CREATE TABLE gone(key TEXT PRIMARY KEY, change INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX gone_change ON gone(change);
CREATE TABLE counter(one INTEGER PRIMARY KEY CHECK(one = 1), first INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE VIEW models AS SELECT id, uri, digest FROM artifacts WHERE kind = 'models';
"""

TABLES = ("facts", "steps", "attempts", "samples", "events", "edges")
"""Those whose rows are of one run."""


class Damaged(Exception):
    """The file is no index, or a damaged one: whoever asked begins a new one, and asks again."""


def opened(path: Path) -> sqlite3.Connection:
    """A connection to the file, made if it is not there. Where it cannot be written, one in memory.

    Raises
    ------
    Damaged
        What is there cannot be read as an index.
    StoreError
        TIP411: the disk is full; TIP426: another process holds it for long.
    """
    if not _can_be_written(path):
        return _prepared(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False))
    try:
        db = connect(path)
    except sqlite3.Error as error:
        raise problem(error, path) from error
    try:
        with clear(path), db.turn():
            until_free(lambda: _prepare(db))
    except BaseException as error:
        db.close()
        if isinstance(error, sqlite3.Error):
            raise problem(error, path) from error
        raise
    return db


def _can_be_written(path: Path) -> bool:
    if path.parent.exists():
        files = [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", ".turn"))]
        return os.access(path.parent, os.W_OK | os.X_OK) and all(
            os.access(file, os.W_OK) and file.is_file() for file in files if os.path.lexists(file)
        )
    return False  # there is no store: nothing is made by who asks


def _prepared(db: sqlite3.Connection) -> sqlite3.Connection:
    _make(db)
    return db


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode=WAL")
    # a killed process loses nothing; a power cut may take the last runs, which are read again
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute(f"PRAGMA wal_autocheckpoint={_PAGES}")
    if _version(db) != VERSION:
        _make(db)


def _make(db: sqlite3.Connection) -> None:
    """Empty the file, and make the tables. Change numbers go on where they were, or from the time in microseconds:
    later than those of a file that is gone."""
    with transaction(db):
        if _version(db) == VERSION:
            return
        last = 0
        with contextlib.suppress(sqlite3.OperationalError, TypeError):
            last = int(db.execute("SELECT last FROM counter").fetchone()[0])
        for kind, name in db.execute(
            "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view')"
        ).fetchall():
            if not name.startswith("sqlite_"):
                db.execute(f'DROP {kind} IF EXISTS "{name}"')
        for statement in _SCHEMA.split(";"):
            if statement.strip():
                db.execute(statement)
        first = max(last + 1, time.time_ns() // 1000)
        db.execute("INSERT INTO counter VALUES(1, ?, ?)", (first, first))
        db.execute(f"PRAGMA user_version={VERSION}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def problem(error: sqlite3.Error, path: Path) -> StoreError | Damaged:
    """What an error of SQLite is. Raises StoreError TIP411 for a full disk."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHORT_READ:
        return Damaged(str(error))
    if code in _DAMAGES or (code == sqlite3.SQLITE_ERROR and "no such" in str(error)):
        return Damaged(str(error))
    heed_full_disk(error, path)
    return StoreError(
        "TIP426",
        f"the index of the records cannot be used: {error}",
        where=str(path),
        cause="another process holds it for long, or it cannot be read",
        fix="ask again, or make it anew: tiphys records rebuild",
    )


def identity(path: Path) -> tuple[int, int]:
    """Which file is there now; zeros for none."""
    try:
        state = os.stat(path)
    except OSError:
        return 0, 0
    return state.st_dev, state.st_ino


def set_aside(path: Path, damaged: tuple[int, int]) -> None:
    """Rename a damaged file, with its log, out of the way, unless another process has done so. Raises StoreError."""
    aside = f"{path}.damaged-{time.time_ns() // 10**6}"
    with clear(path, "set aside"):
        turn = os.open(f"{path}.turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if identity(path) == damaged:
                for end in ("-wal", ""):
                    with contextlib.suppress(FileNotFoundError):
                        os.rename(f"{path}{end}", f"{aside}{end}")
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{path}-shm")
        finally:
            os.close(turn)
