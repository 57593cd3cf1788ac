"""Runs that were deleted, and what they came to: their Workflows, without logs and files.

One SQLite file, ``archive.db``, with a row for each, whose Workflow is compressed. It is made with the first.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiphys.argo.time import seconds
from tiphys.errors import StoreError
from tiphys.store import sqlite
from tiphys.store.ended import brief
from tiphys.store.files import clear

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.store.layout import Store

__all__ = ["RunArchive"]

_TABLE = (
    "CREATE TABLE IF NOT EXISTS runs("
    "uid TEXT PRIMARY KEY, name TEXT, began TEXT, finished REAL, brief TEXT, whole BLOB)"
)
_VERSION = 1


class RunArchive:
    """The archive of a store, for the threads of one process. What is asked of it raises StoreError where it cannot be
    read or written (TIP411, TIP412), or is damaged (TIP451)."""

    def __init__(self, store: Store) -> None:
        self._path = store.root / "archive.db"
        self._guard = threading.RLock()
        self._db: sqlite.SharedFile | None = None
        self._known: list[Workflow] | None = None

    def put(self, workflow: Workflow) -> None:
        """Keep a run that has ended, in place of what was kept of it before."""
        metadata, status = workflow["metadata"], workflow.get("status") or {}
        whole = json.dumps(workflow, ensure_ascii=False, separators=(",", ":")).encode()
        row = (
            str(metadata.get("uid") or ""),
            metadata["name"],
            str(status.get("startedAt") or metadata.get("creationTimestamp") or ""),
            seconds(str(status.get("finishedAt") or metadata["creationTimestamp"])),
            json.dumps(brief(workflow), ensure_ascii=False),
            zlib.compress(whole),
        )
        with self._open(write=True) as db:
            db.execute("INSERT OR REPLACE INTO runs VALUES(?,?,?,?,?,?)", row)

    def latest(self) -> list[Workflow]:
        """All of them without nodes and templates, the one that began last first."""
        if not self._path.exists():
            return []
        with self._open() as db:
            if self._known is None:
                rows = db.execute("SELECT brief FROM runs ORDER BY began DESC, rowid DESC")
                self._known = [json.loads(text) for (text,) in rows]
            return self._known

    def get(self, *, uid: str = "", name: str = "") -> Workflow | None:
        """One of them, whole; of several of a name the one that began last."""
        if not self._path.exists():
            return None
        where, value = ("uid", uid) if uid else ("name", name)
        with self._open() as db:
            found = db.execute(
                f"SELECT whole FROM runs WHERE {where}=? ORDER BY began DESC, rowid DESC", (value,)
            ).fetchone()
            if found is None:
                return None
            workflow: Workflow = json.loads(zlib.decompress(found[0]))
            return workflow

    def remove(self, uid: str) -> bool:
        """Forget one for good; whether it was there."""
        return bool(self._path.exists()) and self._delete("uid=?", uid) > 0

    def expire(self, moment: float) -> int:
        """Forget those that ended before, in seconds since the epoch; how many they were."""
        return self._delete("finished<?", moment) if self._path.exists() else 0

    def close(self) -> None:
        """Close the file."""
        with self._guard:
            if self._db is not None:
                self._db.close()
            self._db = None

    def _delete(self, where: str, value: object) -> int:
        with self._open(write=True) as db:
            return db.execute(f"DELETE FROM runs WHERE {where}", (value,)).rowcount

    @contextlib.contextmanager
    def _open(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        with self._guard, clear(self._path), self._told():
            if self._db is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                sqlite.make(self._path, 0o600)  # arguments and outputs are nobody else's
                db = sqlite.connect(self._path)
                try:
                    for line in ("PRAGMA synchronous=FULL", _TABLE, f"PRAGMA user_version={_VERSION}"):
                        db.execute(line)
                except sqlite3.Error:
                    db.close()
                    raise
                self._db = db
            if not write:
                yield self._db
                return
            self._known = None
            with sqlite.transaction(self._db):
                yield self._db

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, zlib.error, sqlite3.Error) as error:
            if isinstance(error, sqlite3.Error):
                sqlite.heed_full_disk(error, self._path)
            raise StoreError(
                "TIP451",
                f"the archive cannot be used: {error}",
                where=str(self._path),
                fix="move the file away: a new one is made",
            ) from error
