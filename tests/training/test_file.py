"""What was answered is on the disk; who fails beside others loses only his own."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tiphys.errors import StoreError, TrainingServiceError
from tiphys.store.layout import Store
from tiphys.training.file import TrainingFile


def put(key: str) -> object:
    def write(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO facts VALUES(?, 'x')", (key,))

    return write


def facts(path: Path) -> set[str]:
    db = sqlite3.connect(path)
    try:
        return {str(row[0]) for row in db.execute("SELECT key FROM facts")}
    finally:
        db.close()


def test_of_many_at_once_one_that_fails_is_told_and_the_others_are_kept(tmp_path: Path) -> None:
    file = TrainingFile(Store(tmp_path))

    def one(number: int) -> str:
        try:
            file.change(put(f"k{number // 2}"))  # type: ignore[arg-type]  # every second is a duplicate
        except sqlite3.IntegrityError:
            return "twice"
        return "kept"

    with ThreadPoolExecutor(16) as threads:
        answers = [*threads.map(one, range(200))]
    assert answers.count("kept") == 100
    assert facts(file.path) == {f"k{number}" for number in range(100)}
    file.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from tiphys.store.layout import Store
from tiphys.training.file import TrainingFile
file = TrainingFile(Store(Path(sys.argv[1])))
for number in range(10**6):
    file.change(lambda db: db.execute("INSERT INTO facts VALUES(?, 'x')", (f"k{number}",)) and None)
    os.write(1, f"k{number}\\n".encode())
    if number == 50:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_answered_outlives_a_kill(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path], capture_output=True, text=True, check=False
    )
    told = set(done.stdout.split())
    assert len(told) == 51
    assert told <= facts(tmp_path / "training.db")


def test_a_file_of_a_newer_version_and_what_is_none_are_told(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "training.db")
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(TrainingServiceError, match="newer") as newer:
        TrainingFile(Store(tmp_path))
    assert newer.value.code == "TIP808"
    other = tmp_path / "other"
    other.mkdir()
    (other / "training.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(TrainingServiceError) as damaged:
        TrainingFile(Store(other))
    assert damaged.value.code == "TIP808"


def test_a_full_disk_is_one_error_and_nothing_is_half_written(tmp_path: Path) -> None:
    file = TrainingFile(Store(tmp_path))
    file.change(lambda db: db.execute("PRAGMA max_page_count=20").fetchone() and None)

    def much(db: sqlite3.Connection) -> None:
        for number in range(10_000):
            db.execute("INSERT INTO facts VALUES(?, ?)", (f"much{number}", "x" * 500))

    with pytest.raises(StoreError) as full:
        file.change(much)
    assert full.value.code == "TIP411"
    assert facts(file.path) == set()
    file.close()
    with pytest.raises(TrainingServiceError):
        file.change(much)
