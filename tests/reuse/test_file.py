"""The file of cache entries: readers beside writers, damage, versions."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from tiphys.errors import StoreError
from tiphys.reuse.entries import FILE, Entries
from tiphys.reuse.entry import CachedResult
from tiphys.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_reader_does_not_wait_for_a_writer(store: Store) -> None:
    with Entries(store) as entries, Entries(store) as other:
        entries.save(CachedResult("cache", "k", node="n"))
        with entries.file.writing() as db:
            db.execute("UPDATE entries SET hits=7")
            begun = time.monotonic()
            found = other.get("cache", "k")
            assert time.monotonic() - begun < 5
        assert found is not None and found.hits == 0


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_broken_file_is_one_clear_error(store: Store, content: bytes) -> None:
    store.root.mkdir()
    (store.root / FILE).write_bytes(content)
    with pytest.raises(StoreError) as caught:
        Entries(store)
    assert caught.value.code == "TIP425"
    assert FILE in caught.value.where and caught.value.cause and "delete" in caught.value.fix


def test_a_file_of_a_later_version_is_left_alone(store: Store) -> None:
    Entries(store).close()
    with sqlite3.connect(store.root / FILE) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreError, match="version 99") as caught:
        Entries(store)
    assert "delete" not in caught.value.fix


def test_a_file_of_the_first_version_is_taken_over(store: Store) -> None:
    with Entries(store) as known:
        known.save(CachedResult("cache", "k", node="n", created=1.0, hit=1.0, size=5, data=70))
    with sqlite3.connect(store.root / FILE) as db:
        db.executescript("DROP TABLE things; DROP TABLE holds; PRAGMA user_version=1")
    db.close()
    for _ in range(2):
        with Entries(store) as known:
            assert known.totals() == (1, 75)
    with Entries(store) as known:
        assert known.remove("cache", "k") and known.totals() == (0, 0)


def test_a_damaged_row_is_told_as_such(tmp_path: Path) -> None:
    """Found by the fuzzer of stores: flipped bytes of a table that SQLite still reads."""
    with Entries(Store(tmp_path)) as entries:
        with entries.file.writing() as db:
            db.execute("DELETE FROM totals")
        for ask in (entries.totals, entries.swept):
            with pytest.raises(StoreError) as caught:
                ask()
            assert caught.value.code == "TIP425"


def test_a_name_that_is_no_text_is_damage(store: Store) -> None:
    """Found by the fuzzer of stores: SQLite tells of it in words that are no text either."""
    Entries(store).close()
    path = store.root / FILE
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE totals", b"CREATE \x80ABLE totals"))
    with pytest.raises(StoreError) as caught, Entries(store) as entries:
        entries.totals()
    assert caught.value.code == "TIP425"
