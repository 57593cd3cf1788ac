"""What runs that go on, or can go on, may still read: the garbage collection goes round it.

Such a run has no record of its nodes yet. What it took or was given is in its journal; what its steps made since is
younger than its beginning; and what a step finds under the key for which it asked the cache (a data set, the backup of
a training) has that key in its path.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from tiphys.errors import StoreError
from tiphys.frozen import frozen
from tiphys.reuse.entries import Entries
from tiphys.reuse.uses import asked_by
from tiphys.store import Store

__all__ = ["OpenRuns", "open_runs"]


@frozen
class OpenRuns:
    """``names`` of the runs, the oldest first; ``began`` when that one was made, in seconds since the epoch."""

    store: Store
    names: tuple[str, ...]
    began: float

    def texts(self) -> Iterator[str]:
        """All texts in their journals."""
        for name in self.names:
            yield from _texts(self.store, name)

    def keys(self, known: Entries) -> frozenset[str]:
        """The keys for which they asked the cache."""
        return asked_by(known.file, self.names)


def open_runs(store: Store) -> OpenRuns:
    """The runs without a record, and those that a process goes on with."""
    names = [
        name for name in store.runs() if not (store.run(name) / "workflow.json").is_file() or store.held(name)
    ]
    return OpenRuns(store, tuple(names), store.began(names[0]) if names else float("inf"))


def _texts(store: Store, name: str) -> Iterator[str]:
    path = store.run(name) / "journal.db"
    if not path.is_file():
        return  # it is about to begin, or is just deleted
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as db:
            tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            for table in tables:
                for row in db.execute(f'SELECT * FROM "{table}"'):
                    yield from (value for value in row if isinstance(value, str))
    except sqlite3.Error as error:
        raise StoreError(
            "TIP451",
            f"what the run {name} may still read is not known: {error}",
            where=str(path),
            cause="its journal is damaged, or another process holds it for long",
            fix=f"delete the run: tiphys delete {name} --local",
        ) from error
