"""A file is hashed again only when it may have changed; a change is never missed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiphys.reference import Reference, file_digest, seal, verify
from tiphys.reuse import seen as module
from tiphys.reuse.entries import Entries
from tiphys.reuse.seen import GRAIN, Seen
from tiphys.store import Store

OLD = 1_600_000_000


@pytest.fixture
def entries(tmp_path: Path) -> Iterator[Entries]:
    with Entries(Store(tmp_path / "store")) as opened:
        yield opened


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read."""
    names: list[str] = []

    def count(path: Path) -> str:
        names.append(path.name)
        return file_digest(path)

    monkeypatch.setattr(module, "file_digest", count)
    return names


def later() -> float:
    return time.time() + 60


def ask(entries: Entries, path: Path, *, at: float | None = None) -> str:
    with Seen(entries.file, clock=later if at is None else lambda: at).looking() as digest:
        return digest(path)


def test_what_did_not_change_is_read_once(tmp_path: Path, entries: Entries, hashed: list[str]) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    assert [ask(entries, file) for _ in range(3)] == [file_digest(file)] * 3
    assert hashed == ["file"]


def rewritten(file: Path) -> None:
    """The same size, and the times of before as far as anybody can set them."""
    known = file.stat()
    file.write_bytes(b"CONTENT")
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))


def replaced(file: Path) -> None:
    known = file.stat()
    other = file.with_name("other")
    other.write_bytes(b"CONTENT")
    os.utime(other, ns=(known.st_atime_ns, known.st_mtime_ns))
    other.replace(file)


def longer(file: Path) -> None:
    file.write_bytes(b"content and more")


def behind_a_link(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"CONTENT")
    file.unlink()
    file.symlink_to(other)


@pytest.mark.parametrize("change", [rewritten, replaced, longer, behind_a_link])
def test_a_change_is_seen(tmp_path: Path, entries: Entries, change: object) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    os.utime(file, (OLD, OLD))
    before = ask(entries, file)
    assert callable(change)
    change(file)
    assert ask(entries, file) == file_digest(file) != before


def test_what_changed_within_the_clocks_grain_is_not_trusted(
    tmp_path: Path, entries: Entries, hashed: list[str]
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    changed = file.stat().st_ctime
    for at in (changed - 5, changed, changed + GRAIN / 2):
        ask(entries, file, at=at)
    assert len(hashed) == 3
    ask(entries, file, at=changed + GRAIN + 1)
    ask(entries, file, at=changed + GRAIN + 1)
    assert len(hashed) == 4


def test_what_changes_while_it_is_read_is_not_trusted(
    tmp_path: Path, entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")

    def slowly(path: Path) -> str:
        found = file_digest(path)
        path.write_bytes(b"CONTENT")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(module, "file_digest", slowly)
        ask(entries, file)
    assert ask(entries, file) == file_digest(file)


def test_what_was_hashed_long_ago_is_read_again(tmp_path: Path, entries: Entries, hashed: list[str]) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    at = time.time() + 60
    ask(entries, file, at=at)
    Seen(entries.file).forget(at)
    ask(entries, file, at=at)
    assert len(hashed) == 1
    Seen(entries.file).forget(at + 1)
    ask(entries, file, at=at)
    assert len(hashed) == 2


def test_a_sealed_folder_is_read_once_and_its_damage_found(
    tmp_path: Path, entries: Entries, hashed: list[str]
) -> None:
    folder = tmp_path / "sealed"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / name).write_text(name)
    reference = Reference(folder.as_uri(), seal(folder))

    def check() -> str:
        with Seen(entries.file, clock=later).looking() as digest:
            return verify(reference, digest=digest)

    assert [check(), check()] == ["", ""]
    assert sorted(hashed) == ["a", "b", "c"]
    (folder / "b").write_text("B")
    assert "b has another content" in check()
    (folder / "b").write_text("b")
    assert check() == ""
    (folder / "d").write_text("d")
    assert "d was added" in check()


def test_the_file_is_missing(tmp_path: Path, entries: Entries) -> None:
    with pytest.raises(FileNotFoundError):
        ask(entries, tmp_path / "nosuch")
