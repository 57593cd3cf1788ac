"""What engines that share a SQLite file rely on."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tiphys.store.sqlite import connect, lay_out, make, present, reading, transaction, until_free


def test_a_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    db = connect(tmp_path / "a.db")
    db.execute("CREATE TABLE t(x)")
    with pytest.raises(KeyError), transaction(db):
        db.execute("INSERT INTO t VALUES(1)")
        raise KeyError
    with transaction(db):
        db.execute("INSERT INTO t VALUES(2)")
    assert db.execute("SELECT x FROM t").fetchall() == [(2,)]
    db.close()


def test_a_file_is_laid_out_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with pytest.raises(sqlite3.OperationalError):
        lay_out(path, ["CREATE TABLE t(x)", "CREATE TABEL u(x)"])
    assert not os.listdir(tmp_path)
    old = os.umask(0)
    try:
        lay_out(path, ["CREATE TABLE t(x)", "PRAGMA user_version=7"])
    finally:
        os.umask(old)
    assert os.listdir(tmp_path) == ["a.db"] and stat.S_IMODE(path.stat().st_mode) == 0o600
    db = sqlite3.connect(path)
    asked = [
        db.execute(f"PRAGMA {each}").fetchone()[0]
        for each in ("journal_mode", "user_version", "integrity_check")
    ]
    assert asked == ["wal", 7, "ok"] and db.execute("SELECT * FROM t").fetchall() == []
    db.close()


def test_a_locked_file_is_asked_again_and_another_error_is_not(tmp_path: Path) -> None:
    holder = connect(tmp_path / "a.db")
    other = sqlite3.connect(tmp_path / "a.db", timeout=0, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    asked = []

    def make() -> None:
        asked.append(1)
        if len(asked) == 3:
            holder.execute("COMMIT")
        other.execute("CREATE TABLE t(x)")

    until_free(make)
    assert len(asked) == 3

    def wrong() -> None:
        asked.append(1)
        other.execute("SELECT y FROM t")

    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        until_free(wrong)
    assert len(asked) == 4
    holder.close()
    other.close()


def test_a_new_file_is_for_whom_the_umask_says(tmp_path: Path) -> None:
    """SQLite makes one that the owner alone may write: users who share a store could not share its tables."""
    before = os.umask(0o002)
    try:
        db = connect(tmp_path / "a.db")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE t(x)")
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        db.close()
    finally:
        os.umask(before)
    assert modes == {"a.db": 0o664, "a.db-wal": 0o664, "a.db-shm": 0o664}


_OTHER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
print([row[0] for row in db.execute("SELECT n FROM numbers ORDER BY n")])
db.close()  # the last that closes removes the log: others must be seen to be there
"""


@pytest.mark.parametrize("again", ["connect", "reading", "present"])
def test_a_file_that_is_opened_twice_in_a_process_keeps_its_locks(tmp_path: Path, again: str) -> None:
    """A descriptor that is closed takes the locks of all others of its process with it (POSIX; sqlite.org/howtocorrupt,
    2.2): another process would take the file for its own, and remove the log that is written to here."""
    path = tmp_path / "file.db"
    first = connect(path)
    first.execute("PRAGMA journal_mode=WAL")
    first.execute("CREATE TABLE numbers(n)")
    first.execute("INSERT INTO numbers VALUES (1)")
    if again == "connect":
        connect(path).close()
    elif again == "reading":
        reading(path).close()
    else:
        present(path, write=True)

    def seen() -> str:
        return subprocess.run(
            [sys.executable, "-c", _OTHER, path], capture_output=True, text=True, check=True
        ).stdout

    assert seen() == "[1]\n"
    first.execute("INSERT INTO numbers VALUES (2)")
    assert seen() == "[1, 2]\n"
    first.close()
    assert seen() == "[1, 2]\n"


def test_a_new_file_is_for_whom_the_mode_says_and_one_that_is_there_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: object, mode: int) -> None:
        raise PermissionError(errno.EPERM, "not here")

    before = os.umask(0o022)
    try:
        for name in ("made", "opened"):
            path = tmp_path / name
            make(path, 0o666)
            assert stat.S_IMODE(path.stat().st_mode) == 0o644
            path.write_text("kept")
            make(path, 0o600)
            assert path.read_text() == "kept"
            assert stat.S_IMODE(path.stat().st_mode) == 0o644
            monkeypatch.setattr(os, "mknod", refused)  # as on other systems
    finally:
        os.umask(before)
    with pytest.raises(FileNotFoundError):
        make(tmp_path / "none" / "x", 0o600)
