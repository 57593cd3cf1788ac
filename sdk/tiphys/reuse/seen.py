"""Digests of files that were seen before: a file is hashed again only when it may have changed.

A file counts as the one that was hashed when its size, its times of change (``mtime`` and ``ctime``, which nobody can
set back), its inode and its device are the same. What had changed within the grain of the clock before it was hashed is
not remembered: another change in the same tick would look the same. What was hashed long ago is forgotten with the
garbage, so that a failing disk is noticed, too.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tiphys.reference import file_digest
from tiphys.reuse.file import CacheFile

__all__ = ["GRAIN", "Seen"]

GRAIN = 2.0  # seconds: the coarsest times that a file system keeps (FAT)
_LAID = "size, mtime, ctime, inode, device"


class Seen:
    """The remembered digests of one store. ``clock`` gives the time in seconds since the epoch."""

    def __init__(self, file: CacheFile, *, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock

    @contextlib.contextmanager
    def looking(self) -> Iterator[Callable[[Path], str]]:
        """What gives the digest (``sha256:…``) of a file; what it had to hash is remembered at the end."""
        new: dict[str, tuple[object, ...]] = {}

        def digest(path: Path) -> str:
            found = self._laid(path)
            with self._file.reading() as db:
                row = db.execute(f"SELECT {_LAID}, sha256 FROM seen WHERE path=?", (str(path),)).fetchone()
            if row is not None and row[:-1] == found:
                return f"sha256:{row[-1]}"
            begun = self._clock()
            made = file_digest(path)
            changed = max(found[1], found[2]) / 1e9
            if begun - changed > GRAIN and self._laid(path) == found:
                new[str(path)] = (str(path), *found, made.removeprefix("sha256:"), begun)
            return made

        try:
            yield digest
        finally:
            if new:
                with self._file.writing() as db:
                    db.executemany("INSERT OR REPLACE INTO seen VALUES(?,?,?,?,?,?,?,?)", new.values())

    def forget(self, before: float) -> None:
        """Forget what was hashed before a moment."""
        with self._file.writing() as db:
            db.execute("DELETE FROM seen WHERE at<?", (before,))

    @staticmethod
    def _laid(path: Path) -> tuple[int, int, int, int, int]:
        known = os.stat(path)
        # SQLite's whole numbers have a sign
        inode, device = (
            number - (1 << 64) if number >= 1 << 63 else number for number in (known.st_ino, known.st_dev)
        )
        return known.st_size, known.st_mtime_ns, known.st_ctime_ns, inode, device
