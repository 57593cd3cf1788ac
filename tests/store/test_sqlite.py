"""What engines that share a SQLite file rely on."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from tiphys.store.sqlite import connect, transaction, until_free


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
