"""What reads a file that nobody vouches for: archives and idx files, whole ones, hostile ones, damaged ones.

An input is a text of which each character is one byte (latin-1).
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from components.idx import read_images, read_labels
from tests.fuzz.mutate import bytes_of
from tests.fuzz.texts import Target
from tests.fuzz.watch import Broken
from tiphys.errors import StoreError
from tiphys.store.artifacts import Artifacts
from tiphys.store.unpack import UnpackLimits, archive_kind, unpack

__all__ = ["FILES", "folder"]

LIMITS = UnpackLimits(max_bytes=1 << 22, max_files=500, max_ratio=50, floor=1 << 20)
_BLOCK = 512
_NAMES = (
    "x", "d/x", "d", "d/e", "../x", "/x", "a/../../x", ".", "", "..", "d/", "x\0y", "n" * 300, "/".join("d" * 300),
    "l", "l/x", "l/../x", "é", "...", "d//x", "./x", "-rf", "CON", "a\\..\\x", "link", "link/etc", "\n", "d/l",
)  # fmt: skip
_TARGETS = (
    "x", "d", "..", "../..", "/etc", "/etc/passwd", "l", "link", "d/l", ".", "", "d/../..", "l/..", "\0", "a" * 5000,
    "nowhere", "../box/x", "l/l/l/../x", "/",
)  # fmt: skip
_TYPES = (
    *(tarfile.REGTYPE,) * 6, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE,
    tarfile.FIFOTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE, b"Z",
)  # fmt: skip
_CONTENTS = (b"", b"text", bytes(range(256)) * 8, bytes(3 << 20))
_SIZES = (0, 1, 511, 512, 1 << 20, 1 << 33, (1 << 63) - 1)


def folder() -> Path:
    """A scratch folder of this process."""
    place = Path(tempfile.gettempdir(), f"attacked-{os.getpid()}")
    place.mkdir(exist_ok=True)
    return place


def _tar(chance: Random) -> bytes:
    """An archive of some entries, friendly or not; headers that lie have the right sum."""
    data = io.BytesIO()
    how = chance.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT))
    with contextlib.suppress(ValueError), tarfile.open(fileobj=data, mode="w", format=how) as archive:
        for _ in range(chance.choice((0, 1, 2, 3, 5, 8))):
            entry = tarfile.TarInfo(chance.choice(_NAMES))
            entry.type = chance.choice(_TYPES)
            entry.mode = chance.choice((0o644, 0o755, 0, 0o7777, 0o111))
            entry.linkname = chance.choice(_TARGETS) if entry.issym() or entry.islnk() else ""
            content = chance.choice(_CONTENTS[: 3 if chance.random() < 0.95 else 4]) if entry.isreg() else b""
            entry.size = len(content)
            if chance.random() < 0.05:
                entry.pax_headers = {
                    chance.choice(("path", "size", "linkpath", "GNU.sparse.map", "x")): chance.choice(_NAMES)
                }
            with contextlib.suppress(ValueError, UnicodeEncodeError):
                archive.addfile(entry, io.BytesIO(content))
    made = bytearray(data.getvalue())
    if chance.random() < 0.15 and len(made) >= _BLOCK:
        at = chance.randrange(len(made) // _BLOCK) * _BLOCK
        size = chance.choice(_SIZES)
        made[at + 124 : at + 136] = (
            b"%011o\0" % size if size < 1 << 33 else b"\x80" + size.to_bytes(11, "big")
        )
        total = sum(made[at : at + 148]) + 32 * 8 + sum(made[at + 156 : at + _BLOCK])
        made[at + 148 : at + 156] = b"%06o\0 " % total
    return bytes(made)


def _zip(chance: Random) -> bytes:
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that it has twice
        with zipfile.ZipFile(data, "w") as archive:
            for _ in range(chance.choice((0, 1, 2, 3, 5))):
                entry = zipfile.ZipInfo(chance.choice(_NAMES))
                kind = chance.choice((0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO))
                entry.external_attr = (kind | chance.choice((0o644, 0o755, 0, 0o6777))) << 16
                entry.compress_type = chance.choice((0, 8, 8, 12, 14))
                content = chance.choice(_CONTENTS[: 3 if chance.random() < 0.95 else 4])
                with contextlib.suppress(ValueError, UnicodeEncodeError):
                    archive.writestr(entry, content)
    return data.getvalue()


def _make_tar(seeds: Sequence[Any], chance: Random) -> str:
    data = _tar(chance)
    way = chance.random()
    if way < 0.4:
        data = bytes_of(data, chance, (_tar(chance),))
    packed = gzip.compress(data, 1, mtime=0)
    if way > 0.8:
        packed = bytes_of(packed, chance)
    return packed.decode("latin-1")


def _make_zip(seeds: Sequence[Any], chance: Random) -> str:
    data = _zip(chance)
    if chance.random() < 0.6:
        data = bytes_of(data, chance, (_zip(chance),))
    return data.decode("latin-1")


def _unpacked(text: str) -> None:
    """Whatever it holds, nothing of it lies outside, nothing leads out, and it is no larger than the limits."""
    place = folder()
    source, outer = place / "a", place / "outer"
    shutil.rmtree(outer, ignore_errors=True)
    source.write_bytes(text.encode("latin-1"))
    box = outer / "in" / "box"
    box.mkdir(parents=True)
    (outer / "in" / "x").write_text("before")
    kind = "tar" if text.startswith("\x1f\x8b") else "zip"
    try:
        archive_kind(source)
        unpack(source, box, kind=kind, limits=LIMITS)
    except (StoreError, OSError):
        pass  # told by lay_out, too
    finally:
        _inside(outer, box)
    Artifacts(place / "store", max_bytes=LIMITS.max_bytes, max_files=LIMITS.max_files).lay_out(
        source, outer / "in" / "laid"
    )
    _inside(outer, outer / "in" / "laid")


def _inside(outer: Path, box: Path) -> None:
    if sorted(os.listdir(outer)) != ["in"] or not set(os.listdir(outer / "in")) <= {"box", "x", "laid"}:
        raise Broken("it lies outside")
    if (outer / "in" / "x").read_text() != "before":
        raise Broken("it is written outside")
    if box.is_symlink():
        return  # the one thing that was packed, under the name that is wanted, as by Argo
    total = 0
    real = os.path.realpath(box)
    for above, folders, files in os.walk(box):
        for name in (*folders, *files):
            path = os.path.join(above, name)
            state = os.lstat(path)
            total += state.st_size if stat.S_ISREG(state.st_mode) else 0
            if state.st_mode & 0o6000:
                raise Broken("it has the right of another")
            if stat.S_ISLNK(state.st_mode) and os.path.exists(path):
                if not (os.path.realpath(path) + "/").startswith(real + "/"):
                    raise Broken("a link leads out")
            elif not (
                stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode) or stat.S_ISLNK(state.st_mode)
            ):
                raise Broken("it is no file")
    if total > LIMITS.max_bytes + (1 << 20):
        raise Broken(f"{total} bytes")


# -- idx -----------------------------------------------------------------------------------------------------

_COUNT = 3
_IMAGES = struct.pack(">HBBIII", 0, 8, 3, _COUNT, 28, 28) + bytes(range(196)) * 4 * _COUNT
_LABELS = struct.pack(">HBBI", 0, 8, 1, _COUNT) + bytes((0, 9, 5))
_CLAIMS = (0, 1, _COUNT + 1, 1 << 31, (1 << 32) - 1, 10_000_000, 10_000_001)


def _make_idx(seeds: Sequence[Any], chance: Random) -> str:
    data = bytes(chance.choice((_IMAGES, _LABELS)))
    way = chance.random()
    if way < 0.3:
        at = 4 * chance.randrange(4)
        data = data[:at] + struct.pack(">I", chance.choice(_CLAIMS)) + data[at + 4 :]
    elif way < 0.9:
        data = bytes_of(data, chance, (_IMAGES, _LABELS))
    if chance.random() < 0.5:
        data = gzip.compress(data, 1, mtime=0)
        if chance.random() < 0.4:
            data = bytes_of(data, chance)
    return data.decode("latin-1")


def _idx(text: str) -> None:
    """What is read is what is written there, by the format's own words: http://yann.lecun.com/exdb/mnist/."""
    data = text.encode("latin-1")
    path = folder() / "idx"
    path.write_bytes(data)
    plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" and _whole(data) else data
    problems = []
    for read, head in ((read_images, 16), (read_labels, 8)):
        try:
            found = read(path)
        except Exception as error:  # noqa: BLE001 - told below, when both readers had their turn
            problems.append(error)
            continue
        if found.tobytes() != plain[head:] or len(found) != struct.unpack(">I", plain[4:8])[0]:
            raise Broken("it is not what is in the file")
    if len(problems) == 2:
        raise problems[0] if plain[3:4] == b"\x03" else problems[1]


def _whole(data: bytes) -> bool:
    try:
        gzip.decompress(data)
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        return False
    return True


FILES = [
    Target("tar", "archives", _make_tar, _unpacked, lambda: (), inputs=1200),
    Target("zip", "archives", _make_zip, _unpacked, lambda: (), inputs=1200),
    Target("idx", "archives", _make_idx, _idx, lambda: (), inputs=1500),
]
