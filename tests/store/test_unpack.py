"""Archives that nobody vouches for: whatever they hold, nothing lands outside of their folder."""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tiphys.errors import StoreError
from tiphys.store.unpack import UnpackLimits, archive_kind, unpack

Entry = tuple[str, str, bytes]  # kind, name, what it holds or where it leads
KINDS = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE}


def packed(path: Path, entries: Sequence[Entry]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for kind, name, data in entries:
            info = tarfile.TarInfo(name)
            info.type = KINDS[kind]
            info.mode = 0o755
            if kind == "file":
                info.size = len(data)
            elif kind != "dir":
                info.linkname = data.decode()
            archive.addfile(info, io.BytesIO(data) if kind == "file" else None)
    return path


def laid(tmp_path: Path, entries: Sequence[Entry]) -> Path:
    """Unpacked, in a folder of its own in an empty one; every link leads to a place inside or nowhere."""
    box = tmp_path / "outer" / "box"
    box.mkdir(parents=True)
    source = packed(tmp_path / "a.tgz", entries)
    before = os.listdir(box.parent)
    try:
        unpack(source, box, kind="tar", limits=UnpackLimits())
    finally:
        assert os.listdir(box.parent) == before
        for path in box.rglob("*"):
            if path.is_symlink() and path.exists():
                assert path.resolve().is_relative_to(box.resolve())
    return box


DEEP = "/".join(f"d{number}" for number in range(24))


@pytest.mark.parametrize(
    "entries",
    [
        [("dir", DEEP, b""), ("link", f"{DEEP}/l", b"/".join([b".."] * 24)),
         ("link", "x", f"{DEEP}/l/{'/'.join(['..'] * 20)}".encode()), ("link", "x/var/y", b"z")],
        [("dir", "a/b", b""), ("link", "a/b/up", b"../.."), ("link", "out", b"a/b/up/..")],
        [("link", "one", b"two"), ("link", "two", b"three/.."), ("link", "three", b"..")],
        [("link", "a", b"b/../.."), ("dir", "b", b"")],
        [("link", "a", b"."), ("link", "b", b"a/a/a/../x")],
        [("link", "l", b"d"), ("file", "l/x", b"through")],
        [("file", "d/x", b""), ("link", "d", b"e")],
        [("file", "f", b""), ("file", "f/x", b"")],
        [("hard", "h", b"../../etc/passwd")],
        [("dir", "d/e", b""), ("link", "d/e/l", b"../..")],
        [("file", "d/f", b""), ("link", "d/l", b"..")],
        [("hard", "h", b"not-there")],
        [("link", "l", b"/etc"), ("hard", "h", b"l/passwd")],
        [("file", "../x", b"")],
        [("file", "/x", b"")],
        [("file", "a/../../x", b"")],
        [("file", "a/" * 3000 + "x", b"")],
    ],
    ids=range(17),
)  # fmt: skip
def test_what_leaves_is_refused(tmp_path: Path, entries: list[Entry]) -> None:
    with pytest.raises(StoreError) as caught:
        laid(tmp_path, entries)
    assert caught.value.code == "TIP442"


@pytest.mark.parametrize("seed", range(30))
def test_no_mixture_of_links_leads_out(tmp_path: Path, seed: int) -> None:
    """Judged by the file system: :func:`laid` resolves every link that was made."""
    chance = random.Random(seed)
    names = ["a", "b", "a/c", "b/d", "a/c/e", "f"]
    entries: list[Entry] = []
    for _ in range(12):
        target = "/".join(
            chance.choice(["..", "a", "b", "c", "d", "e", "f", "."]) for _ in range(chance.randint(1, 5))
        )
        kind = chance.choice(["file", "dir", "link", "link", "hard"])
        entries.append((kind, chance.choice(names), target.encode() if kind in ("link", "hard") else b""))
    try:
        laid(tmp_path, entries)
    except StoreError as error:
        assert error.code == "TIP442"


def test_what_stays_inside_is_there(tmp_path: Path) -> None:
    box = laid(
        tmp_path,
        [
            ("dir", "d", b""), ("file", "d/f", b"text"), ("link", "d/l", b"../d/f"), ("link", "gone", b"nowhere/x"),
            ("hard", "h", b"d/f"), ("link", "loop", b"loop"), ("file", "twice", b"1"), ("file", "twice", b"2"),
        ],
    )  # fmt: skip
    assert (box / "d/l").read_text() == "text"
    assert (box / "h").samefile(box / "d/f")
    assert (box / "twice").read_text() == "2"
    assert os.readlink(box / "gone") == "nowhere/x"


def too_large(source: Path, box: Path, limits: UnpackLimits, kind: str = "tar") -> str:
    box.mkdir()
    with pytest.raises(StoreError) as caught:
        unpack(source, box, kind=kind, limits=limits)
    assert caught.value.code == "TIP444"
    return caught.value.message


def test_a_megabyte_does_not_become_a_gigabyte(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tgz", "w:gz", compresslevel=9) as archive:
        info = tarfile.TarInfo("zeros")
        info.size = 1 << 30
        with open("/dev/zero", "rb") as zeros:
            archive.addfile(info, zeros)
    assert "200 times" in too_large(tmp_path / "a.tgz", tmp_path / "box", UnpackLimits())
    assert list((tmp_path / "box").iterdir()) == []  # by what it says, not when the disk is full
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as other:
        for number in range(5):
            other.writestr(f"{number}", bytes(1 << 20))
    too_large(tmp_path / "a.zip", tmp_path / "other", UnpackLimits(floor=1 << 20), "zip")


def test_entries_that_claim_sizes_are_not_waited_for(tmp_path: Path) -> None:
    """A sparse file of 8 TB in a few bytes; an entry that is left out, and is long."""
    info = tarfile.TarInfo("sparse")
    info.size = 8 << 40
    (tmp_path / "a.tgz").write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT)))
    too_large(tmp_path / "a.tgz", tmp_path / "box", UnpackLimits())


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(b"x" * 10_000, mtime=0),
        gzip.compress(b"x" * 10_000, mtime=0)[:-20],
        b"\x1f\x8b" + bytes(100),
    ],
)
def test_what_is_no_archive_is_a_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    assert archive_kind(tmp_path / "a") == "none"


def test_a_huge_header_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("long")
    info.type = tarfile.GNUTYPE_LONGNAME
    info.size = 4 << 30
    (tmp_path / "a").write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_000)))
    assert archive_kind(tmp_path / "a") == "none"
    (tmp_path / "box").mkdir()
    with pytest.raises(StoreError) as caught:
        unpack(tmp_path / "a", tmp_path / "box", kind="tar", limits=UnpackLimits())
    assert caught.value.code == "TIP443"


def test_a_zip_that_needs_a_password(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("f", "secret")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag that says "encrypted"
        at = data.index(mark) + place
        struct.pack_into("<H", data, at, struct.unpack_from("<H", data, at)[0] | 1)
    (tmp_path / "a.zip").write_bytes(data)
    (tmp_path / "box").mkdir()
    with pytest.raises(StoreError) as caught:
        unpack(tmp_path / "a.zip", tmp_path / "box", kind="zip", limits=UnpackLimits())
    assert caught.value.code == "TIP443"
    assert "encrypted" in caught.value.message


@pytest.mark.parametrize("mode", [0o120777, 0o010644, 0o020644])
def test_a_zip_holds_files_and_folders_only(tmp_path: Path, mode: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("l")
        info.external_attr = mode << 16
        archive.writestr(info, "/etc/passwd")
    (tmp_path / "box").mkdir()
    with pytest.raises(StoreError) as caught:
        unpack(tmp_path / "a.zip", tmp_path / "box", kind="zip", limits=UnpackLimits())
    assert caught.value.code == "TIP442"
