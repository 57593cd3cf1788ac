"""Algorithms: training code by a name, in versions that never change."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, replace

from tiphys.errors import TrainingServiceError, did_you_mean
from tiphys.training.file import TrainingFile
from tiphys.training.job import Algorithm, AlgorithmSecret

__all__ = ["AlgorithmTable"]


class AlgorithmTable:
    """The algorithms of one file. Methods raise what :class:`TrainingFile` raises, and TrainingServiceError."""

    def __init__(self, file: TrainingFile) -> None:
        self._file = file

    def create(self, algorithm: Algorithm, now: float) -> Algorithm:
        """Version 1 of a new one. Raises TIP805 when there is one of the name."""

        def write(db: sqlite3.Connection) -> Algorithm:
            if _newest(db, algorithm.name):
                raise TrainingServiceError(
                    "TIP805",
                    f"there is an algorithm {algorithm.name!r} already",
                    fix="a new version of it: tiphys algorithms update",
                )
            return _put(db, replace(algorithm, version=1, created=now))

        return self._file.change(write)

    def update(self, algorithm: Algorithm, now: float) -> Algorithm:
        """The next version; the same as the newest is the newest. Raises TIP807 when there is none of the name."""

        def write(db: sqlite3.Connection) -> Algorithm:
            version = _newest(db, algorithm.name)
            if not version:
                raise _unknown(db, algorithm.name)
            there = _read(db, algorithm.name, version)
            if replace(algorithm, version=version, created=there.created) == there:
                return there
            return _put(db, replace(algorithm, version=version + 1, created=now))

        return self._file.change(write)

    def get(self, name: str, version: int = 0) -> Algorithm:
        """A version; 0: the newest. Raises TIP807 when there is none."""

        def read(db: sqlite3.Connection) -> Algorithm:
            newest = _newest(db, name)
            if not newest:
                raise _unknown(db, name)
            if version > newest:
                raise TrainingServiceError("TIP807", f"the algorithm {name!r} has {newest} versions")
            return _read(db, name, version or newest)

        return self._file.ask(read)

    def list(self, name: str = "") -> list[Algorithm]:
        """The newest version of each; of one ``name`` all versions, the newest first. TIP807 for none of the name."""

        def read(db: sqlite3.Connection) -> list[Algorithm]:
            if name:
                rows = db.execute(
                    "SELECT text FROM algorithms WHERE name=? ORDER BY version DESC", (name,)
                ).fetchall()
                if not rows:
                    raise _unknown(db, name)
            else:
                rows = db.execute(
                    "SELECT text FROM algorithms a WHERE version=(SELECT max(version) FROM algorithms b"
                    " WHERE b.name=a.name) ORDER BY name"
                ).fetchall()
            return [_algorithm(str(row[0])) for row in rows]

        return self._file.ask(read)


def _newest(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute("SELECT max(version) FROM algorithms WHERE name=?", (name,)).fetchone()[0] or 0)


def _read(db: sqlite3.Connection, name: str, version: int) -> Algorithm:
    row = db.execute("SELECT text FROM algorithms WHERE name=? AND version=?", (name, version)).fetchone()
    return _algorithm(str(row[0]))


def _put(db: sqlite3.Connection, algorithm: Algorithm) -> Algorithm:
    text = json.dumps(asdict(algorithm), sort_keys=True)
    db.execute("INSERT INTO algorithms VALUES(?, ?, ?)", (algorithm.name, algorithm.version, text))
    return algorithm


def _algorithm(text: str) -> Algorithm:
    said = json.loads(text)
    secrets = tuple(AlgorithmSecret(**each) for each in said.pop("secrets"))
    return Algorithm(
        **{**said, "command": tuple(said["command"]), "args": tuple(said["args"]), "secrets": secrets}
    )


def _unknown(db: sqlite3.Connection, name: str) -> TrainingServiceError:
    known = [str(row[0]) for row in db.execute("SELECT DISTINCT name FROM algorithms")]
    return TrainingServiceError(
        "TIP807",
        f"there is no algorithm {name!r}.{did_you_mean(name, known)}",
        fix="`tiphys algorithms list` lists them; a new one: tiphys algorithms create",
    )
