"""SQLite files that several engines share: opened by many at once, changed in one transaction at a time."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["connect", "transaction", "until_free"]

_PATIENCE = 30.0  # seconds until a file that others use all the time is given up


def connect(path: Path) -> sqlite3.Connection:
    """A connection for several threads; transactions are begun by hand."""
    return sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)


def until_free(prepare: Callable[[], None]) -> None:
    """Prepare a file, and again while it is locked.

    Of several that open a new file at once, one changes it to a write-ahead log; SQLite tells the others "locked" at
    once, without the patience that it has elsewhere (https://www.sqlite.org/c3ref/busy_handler.html: the handler is not
    called where waiting could be a deadlock). Raises sqlite3.OperationalError when it stays locked, or for anything
    else.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            prepare()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.005)


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All that is done in the block is written, or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
