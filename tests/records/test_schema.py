"""The file of the index: of another version, damaged, of nobody, and opened by several at once."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.records.made import run
from tiphys.errors import StoreError
from tiphys.records.index import Index
from tiphys.records.schema import FILE, VERSION, Damaged
from tiphys.store import Store


def filled(root: Path) -> Store:
    root.mkdir(exist_ok=True)
    store = Store(root)
    with Index(store) as index:
        index.put([("1", run("a-1"))])
    return store


def test_a_file_of_another_version_is_emptied_and_its_numbers_go_on(tmp_path: Path) -> None:
    store = filled(tmp_path)
    with Index(store) as index:
        before = index.last_change()
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.execute("ALTER TABLE runs RENAME COLUMN phase TO other")
        db.execute("CREATE TABLE strange(x)")
        db.execute(f"PRAGMA user_version={VERSION + 1}")
        db.commit()
    with Index(store) as index:
        assert index.stamps() == {}
        assert index.last_change() > before
        assert [change.kind for change in index.changes(before)] == ["reset"]
        assert index.put([("1", run("a-1"))]) == 1


@pytest.mark.parametrize("what", ["text", "short", "zeros", "middle"])
def test_a_damaged_file_is_set_aside(tmp_path: Path, what: str) -> None:
    store = filled(tmp_path)
    path = tmp_path / FILE
    data = path.read_bytes()
    path.write_bytes(
        {
            "text": b"no database " * 1000,
            "short": data[: len(data) // 2],
            "zeros": bytes(len(data)),
            "middle": data[:4096] + b"\xff" * (len(data) - 4096),
        }[what]
    )
    with Index(store) as index:
        try:
            index.stamps()
            index.put([("2", run("a-1", phase="Failed"))])
        except Damaged:
            index.set_aside()
            assert index.stamps() == {}
            index.put([("2", run("a-1", phase="Failed"))])
        assert index.record("a-1").phase == "Failed"
    assert list(tmp_path.glob(f"{FILE}.damaged-*"))


def test_who_has_a_file_that_another_set_aside_takes_up_the_new_one(tmp_path: Path) -> None:
    store = filled(tmp_path)
    with Index(store) as one, Index(store) as two:
        two.set_aside()
        two.put([("1", run("b-1"))])
        one.set_aside()  # the file that it means is not there any more
        assert one.stamps() == {"b-1": "1"}
        os.unlink(tmp_path / FILE)
        one.take_up()
        assert one.stamps() == {}


def test_who_may_not_write_has_an_index_in_memory(tmp_path: Path) -> None:
    with Index(Store(tmp_path / "none")) as index:
        assert index.put([("1", run("a-1"))]) == 1
        assert index.record("a-1").name == "a-1"
    assert not (tmp_path / "none").exists()
    (tmp_path / FILE).mkdir()
    with Index(Store(tmp_path)) as index:
        assert index.put([("1", run("a-1"))]) == 1


def test_a_file_that_another_holds_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path)
    monkeypatch.setattr("tiphys.store.sqlite._PATIENCE", 0.05)
    with Index(store) as index, closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError) as caught:
            index.put([("2", run("a-1", phase="Failed"))])
        assert caught.value.code == "TIP426"
