"""How a process is told from another that has its PID."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tiphys.errors import StoreError
from tiphys.queue.table import SharedTable, process_start


def test_a_process_is_known_until_it_ends() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    start = process_start(process.pid)
    assert start and start == process_start(process.pid) != process_start(os.getpid())
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has taken note
    assert process_start(process.pid) == ""
    process.wait()
    assert process_start(process.pid) == ""


def test_what_another_has_written_is_seen(tmp_path: Path) -> None:
    schema = "CREATE TABLE IF NOT EXISTS notes(text TEXT)"
    one, two = SharedTable(tmp_path / "t", schema), SharedTable(tmp_path / "t", schema)
    before = one.changes()
    assert one.changes() == before
    with two.transaction() as db:
        db.execute("INSERT INTO notes VALUES('x')")
    assert one.changes() != before
    assert one.lives(*two.me) and not one.lives(os.getpid(), "another time")


def test_who_waits_looks_again_when_another_has_written_and_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = "CREATE TABLE IF NOT EXISTS notes(text TEXT)"
    one, two = SharedTable(tmp_path / "t", schema), SharedTable(tmp_path / "t", schema)
    now = 100.0
    monkeypatch.setattr("tiphys.queue.table.time.monotonic", lambda: now)
    assert [one.news() for _ in range(9)] == [True] + [False] * 8
    now += 1.0  # an engine may be dead by now
    assert [one.news() for _ in range(3)] == [True, False, False]
    with two.transaction() as db:
        db.execute("INSERT INTO notes VALUES('x')")
    assert one.news()


def test_the_kernel_tells_of_what_another_has_written(tmp_path: Path) -> None:
    schema = "CREATE TABLE IF NOT EXISTS notes(text TEXT)"
    one, two = SharedTable(tmp_path / "t", schema), SharedTable(tmp_path / "t", schema)
    ear = one.listen()
    assert ear is not None
    try:
        one.changes()
        assert not select.select([ear], [], [], 0.05)[0]
        with two.transaction() as db:
            db.execute("INSERT INTO notes VALUES('x')")
        assert select.select([ear], [], [], 10)[0]
    finally:
        os.close(ear)


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("what is this? " * 1000)
    with pytest.raises(StoreError) as caught:
        SharedTable(tmp_path / "t", "")
    assert caught.value.code == "TIP452"
