"""Runs that were deleted, kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tiphys.errors import StoreError
from tiphys.store import Store
from tiphys.store.archive import RunArchive


def ended(name: str, uid: str, began: str = "2026-01-01T00:00:00Z") -> Any:
    return {
        "metadata": {"name": name, "uid": uid, "creationTimestamp": began},
        "spec": {"templates": [{"name": "main"}]},
        "status": {"phase": "Failed", "startedAt": began, "finishedAt": began, "nodes": {"a": {"id": "ä"}}},
    }


def test_what_is_kept_comes_back_whole_also_in_another_process(tmp_path: Path) -> None:
    archive, one = RunArchive(Store(tmp_path)), ended("one", "1")
    assert (archive.latest(), archive.get(uid="1"), archive.remove("1"), archive.expire(1e12)) == (
        [],
        None,
        False,
        0,
    )
    assert os.listdir(tmp_path) == []  # to ask makes nothing
    archive.put(one)
    archive.put(ended("one", "2", "2026-01-02T00:00:00Z"))
    archive.put(one)
    archive.close()
    for again in (archive, RunArchive(Store(tmp_path))):
        assert again.get(uid="1") == one
        assert again.get(name="one") == ended("one", "2", "2026-01-02T00:00:00Z")  # the newest
        assert [each["metadata"]["uid"] for each in again.latest()] == ["2", "1"]
        assert all("nodes" not in each["status"] for each in again.latest())
        again.close()
    assert (tmp_path / "archive.db").stat().st_mode & 0o077 == 0


def test_it_is_forgotten_by_name_or_by_age(tmp_path: Path) -> None:
    archive = RunArchive(Store(tmp_path))
    for day in range(1, 5):
        archive.put(ended("one", str(day), f"2026-01-0{day}T00:00:00Z"))
    assert archive.remove("4") and not archive.remove("4")
    assert archive.expire(1767312000.0) == 1  # 2026-01-02T00:00:00Z
    assert [each["metadata"]["uid"] for each in archive.latest()] == ["3", "2"]
    archive.close()


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "archive.db").write_bytes(b"no database, but long enough to be taken for one" * 100)
    archive = RunArchive(Store(tmp_path))
    with pytest.raises(StoreError) as caught:
        archive.put(ended("one", "1"))
    assert caught.value.code == "TIP451" and "archive.db" in str(caught.value)
    archive.close()
