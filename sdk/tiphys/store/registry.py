"""The registry of a store: the document of each model and the pages of its audit, in one file that many may change.

A change is one transaction: read, a pure function, written and flushed. What a killed process had not written has not
happened.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from tiphys.errors import StoreError
from tiphys.registry.audit import check_size, full_page, read_page
from tiphys.registry.document import AuditRow, ModelDocument
from tiphys.registry.names import check_model_name
from tiphys.store.files import clear
from tiphys.store.layout import Store
from tiphys.store.sqlite import connect, heed_full_disk, reading, transaction, until_free

__all__ = ["LocalRegistry"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents(name TEXT PRIMARY KEY, version INTEGER NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pages(name TEXT, number INTEGER, text TEXT NOT NULL, PRIMARY KEY(name, number));
"""


class LocalRegistry:
    """``STORE/models.db``. To look makes no file. Methods raise StoreError: TIP411 for a full disk, TIP461 for what
    cannot be read, TIP462 when the file cannot be used."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.path: Path = store.root / "models.db"

    @property
    def place(self) -> str:
        """Where it is, for a person."""
        return str(self.path)

    def names(self) -> list[str]:
        """The models of which something is registered."""
        with self._reading() as db:
            return (
                []
                if db is None
                else [row[0] for row in db.execute("SELECT name FROM documents ORDER BY name")]
            )

    def read(self, name: str) -> ModelDocument:
        """The document of a model; an empty one where nothing is registered."""
        return self.versioned(name)[0]

    def versioned(self, name: str) -> tuple[ModelDocument, str]:
        """The same, and its resourceVersion, empty where there is no document."""
        check_model_name(name)
        with self._reading() as db:
            return (ModelDocument(name), "") if db is None else _read(db, name)

    def change(self, name: str, what: Callable[[ModelDocument], ModelDocument]) -> ModelDocument:
        """Write what ``what`` makes of the document; it may be called again. Raises what ``what`` raises."""
        check_model_name(name)
        with self._writing() as db:
            before, version = _read(db, name)
            after = what(before)
            if after == before:
                return before
            page, after = full_page(after)
            text = after.text()
            check_size(after, text)
            if page is not None:
                db.execute("INSERT OR IGNORE INTO pages VALUES(?, ?, ?)", (name, page.number, page.text))
            number = int(version or 0) + 1
            db.execute("INSERT OR REPLACE INTO documents VALUES(?, ?, ?)", (name, number, text))
        return after

    def audit(self, name: str) -> list[AuditRow]:
        """Every change there was, the first one first."""
        check_model_name(name)
        with self._reading() as db:
            if db is None:
                return []
            with _one_moment(db):
                document = _read(db, name)[0]
                pages = db.execute(
                    "SELECT number, text FROM pages WHERE name=? AND number<=? ORDER BY number",
                    (name, document.archived),
                ).fetchall()
        rows = [row for number, text in pages for row in read_page(text, number, name)]
        rows = rows[: document.archived]
        if len(rows) != document.archived:
            raise StoreError(
                "TIP461", f"{document.archived - len(rows)} changes of {name} are gone from its audit"
            )
        return [*rows, *document.changes]

    # -- as a ConfigMap is read and written ---------------------------------------------------------------------------

    def text(self, name: str) -> tuple[str, str] | None:
        """The text of a document (empty: of a model of which nothing is registered) and its resourceVersion."""
        check_model_name(name)
        with self._reading() as db:
            return None if db is None else _text(db, name)

    def put_text(self, name: str, text: str, version: str | None) -> str | None:
        """Write a text in the place of that one of ``version`` (None: of none; empty: of any); its resourceVersion, or
        None when another is there. Raises StoreError TIP461 for what is no document."""
        check_model_name(name)
        check_size(ModelDocument.read(text, name), text)
        with self._writing() as db:
            there = _text(db, name)
            if version != "" and version != (there[1] if there else None):
                return None
            number = int(there[1]) + 1 if there else 1
            db.execute("INSERT OR REPLACE INTO documents VALUES(?, ?, ?)", (name, number, text))
        return str(number)

    def page(self, name: str, number: int) -> str | None:
        """The text of a page of the audit."""
        with self._reading() as db:
            row = (
                db
                and db.execute("SELECT text FROM pages WHERE name=? AND number=?", (name, number)).fetchone()
            )
        return str(row[0]) if row else None

    def put_page(self, name: str, number: int, text: str) -> bool:
        """Keep a page; False when there is one with another text. Raises StoreError TIP461 for what is none."""
        read_page(text, number, name)
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO pages VALUES(?, ?, ?)", (name, number, text))
        return self.page(name, number) == text

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with clear(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with contextlib.closing(connect(self.path)) as db, db.turn():
                    until_free(lambda: _prepare(db))
                    with transaction(db):
                        yield db
            except sqlite3.Error as error:
                heed_full_disk(error, self.path)
                raise self._problem(error) from error

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """None where there is no file."""
        if not self.path.exists():
            yield None
            return
        with clear(self.path, "read"):
            try:
                # an immutable file is what nobody can write meanwhile
                mine = os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)
                with contextlib.closing(connect(self.path) if mine else reading(self.path)) as db:
                    made = db.execute("SELECT 1 FROM sqlite_master WHERE name='pages'").fetchone()
                    yield db if made else None
            except sqlite3.Error as error:
                raise self._problem(error) from error

    def _problem(self, error: sqlite3.Error) -> StoreError:
        return StoreError(
            "TIP462",
            f"the registry of the store cannot be used: {error}",
            where=str(self.path),
            cause="another process holds it for long, or it is damaged",
        )


def _prepare(db: sqlite3.Connection) -> None:
    if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")  # what was answered is on the disk: nothing can make it anew
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name='pages'").fetchone():
        db.executescript(_SCHEMA)


@contextlib.contextmanager
def _one_moment(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")


def _text(db: sqlite3.Connection, name: str) -> tuple[str, str] | None:
    row = db.execute("SELECT text, version FROM documents WHERE name=?", (name,)).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def _read(db: sqlite3.Connection, name: str) -> tuple[ModelDocument, str]:
    found = _text(db, name)
    return (ModelDocument(name), "") if found is None else (ModelDocument.read(found[0], name), found[1])
