"""``STORE/training.db``: what the training service may not forget.

One process writes it. Requests that come at once share one commit, as each waits for the disk: a thread takes all that
are there, carries each out in a savepoint of its own, and answers when all of them are on the disk.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from tiphys.errors import TrainingServiceError
from tiphys.store.layout import Store
from tiphys.store.sqlite import connect, heed_full_disk, until_free

__all__ = ["TrainingFile"]

T = TypeVar("T")
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs(
  id INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, request_id TEXT, pool TEXT NOT NULL,
  namespace TEXT NOT NULL, run TEXT NOT NULL UNIQUE, state INTEGER NOT NULL, algorithm TEXT NOT NULL,
  algorithm_version INTEGER NOT NULL, request TEXT NOT NULL, message TEXT NOT NULL DEFAULT '',
  cause TEXT NOT NULL DEFAULT '', progress TEXT NOT NULL DEFAULT '', metrics TEXT NOT NULL DEFAULT '{}',
  model TEXT NOT NULL DEFAULT '', cancelling INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL,
  launched REAL NOT NULL DEFAULT 0, ended REAL NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX IF NOT EXISTS of_requests ON jobs(user, request_id) WHERE request_id != '';
CREATE INDEX IF NOT EXISTS of_states ON jobs(state, id);
CREATE INDEX IF NOT EXISTS of_pools ON jobs(pool, id);
CREATE TABLE IF NOT EXISTS algorithms(
  name TEXT NOT NULL, version INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY(name, version));
CREATE TABLE IF NOT EXISTS facts(key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_AT_ONCE = 256  # requests of one commit


class TrainingFile:
    """Methods raise StoreError TIP411 for a full disk, TrainingServiceError TIP808 when the file cannot be
    used or was closed."""

    def __init__(self, store: Store) -> None:
        self.path = store.root / "training.db"
        store.root.mkdir(parents=True, exist_ok=True)
        self._asked: queue.SimpleQueue[
            tuple[Callable[[sqlite3.Connection], object], Future[object]] | None
        ] = queue.SimpleQueue()
        self._reading = threading.local()
        self._closing, self._closed = threading.Lock(), False
        self._readers: list[sqlite3.Connection] = []
        with self._told():
            self._db = connect(self.path)
            until_free(self._prepare)
        self._writer = threading.Thread(target=self._write, name="training.db", daemon=True)
        self._writer.start()

    def change(self, what: Callable[[sqlite3.Connection], T]) -> T:
        """What ``what`` gives when it changed the file, and that is on the disk. Raises what it raises."""
        answer: Future[T] = Future()
        with self._closing:
            if self._closed:
                raise TrainingServiceError("TIP808", "the training service's file was closed")
            self._asked.put((what, answer))  # type: ignore[arg-type]  # each answer is of the type of its question
        return answer.result()

    def ask(self, what: Callable[[sqlite3.Connection], T]) -> T:
        """What ``what`` reads."""
        with self._told():
            db: sqlite3.Connection | None = getattr(self._reading, "db", None)
            if db is None:
                db = self._reading.db = connect(self.path)
                self._readers.append(db)
            return what(db)

    def close(self) -> None:
        """Write what was asked, and end."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._asked.put(None)
        self._writer.join()
        for db in (self._db, *self._readers):
            db.close()

    def _prepare(self) -> None:
        if self._db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise TrainingServiceError(
                "TIP808",
                f"the training service's file is of a newer Tiphys (version {version})",
                where=str(self.path),
                fix="use the newer Tiphys, or another folder with --store",
            )
        self._db.executescript(_SCHEMA + f"PRAGMA user_version={_VERSION};")

    def _write(self) -> None:
        while True:
            asked = [self._asked.get()]
            with contextlib.suppress(queue.Empty):
                while asked[-1] is not None and len(asked) < _AT_ONCE:
                    asked.append(self._asked.get_nowait())
            self._carry_out([each for each in asked if each is not None])
            if asked[-1] is None:
                return

    def _carry_out(self, asked: list[tuple[Callable[[sqlite3.Connection], object], Future[object]]]) -> None:
        results: list[tuple[Future[object], object, BaseException | None]] = []
        try:
            with self._told():
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    for what, answer in asked:
                        results.append((answer, *self._one(what)))
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
        except BaseException as error:  # noqa: BLE001  whoever asked is told
            for _, answer in asked:
                answer.set_exception(error)
            return
        for answer, result, problem in results:
            if problem is None:
                answer.set_result(result)
            else:
                answer.set_exception(problem)

    def _one(self, what: Callable[[sqlite3.Connection], object]) -> tuple[object, BaseException | None]:
        """The result of one, or what it raised, when nothing of it is kept. Raises sqlite3.Error, which ends all."""
        self._db.execute("SAVEPOINT one")
        try:
            result = what(self._db)
        except sqlite3.OperationalError:
            raise
        except BaseException as error:  # noqa: BLE001  whoever asked is told
            self._db.execute("ROLLBACK TO one")
            self._db.execute("RELEASE one")
            return None, error
        self._db.execute("RELEASE one")
        return result, None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            heed_full_disk(error, self.path)
            raise TrainingServiceError(
                "TIP808",
                f"the training service's file cannot be used: {error}",
                where=str(self.path),
                cause="it is damaged, or not a file of the training service",
                fix="give another folder with --store, or put a copy of the file back",
            ) from error
