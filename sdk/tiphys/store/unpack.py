"""Unpacking an archive that nobody vouches for: nothing of it lands outside of its folder, whatever it says.

Every entry is made through descriptors of folders that were walked to without following a link; links come last, and
only those that lead to a place inside, also by way of the others. What grows without bound is refused.
"""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from tiphys.errors import StoreError

__all__ = ["UnpackLimits", "archive_kind", "unpack"]

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST = 200  # folders in folders: programs that remove such trees must be able to
_MOST_LINKS = 40  # as the kernel: beyond, a link leads nowhere
_CHUNK = 1 << 20
_HEADER = 1 << 22  # bytes of one header of a tar archive
_OVERHEAD = 4096  # bytes of an entry that are not its content
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError,
    RuntimeError, ValueError, OverflowError, MemoryError, LookupError, TypeError, AssertionError,
)  # fmt: skip


@dataclass(frozen=True)
class UnpackLimits:
    """How large what is unpacked may be: bytes, entries, and bytes for each byte of an archive once ``floor`` bytes
    are reached (text packs to a tenth, a bomb to a thousandth)."""

    max_bytes: int = 1 << 40
    max_files: int = 1_000_000
    max_ratio: int = 200
    floor: int = 1 << 29


def unpack(
    source: Path,
    box: Path,
    *,
    kind: str,
    limits: UnpackLimits,
    going_on: Callable[[], None] = lambda: None,
) -> None:
    """Unpack a ``tar`` (packed by gzip) or ``zip`` into an empty folder. Raises StoreError TIP442 for what would lie
    outside, TIP443 for what cannot be read, TIP444 for what is too large; OSError.
    ``going_on`` is called again and again, and may raise."""
    try:
        with _Box(source, box, limits, going_on) as folder:
            (_untar if kind == "tar" else _unzip)(source, folder)
            folder.make_links()
    except _DAMAGED as error:
        text = str(error) or type(error).__name__
        raise StoreError(
            "TIP443", f"the archive {source.name} is damaged: {text}", where=str(source)
        ) from error


def archive_kind(path: Path) -> Literal["tar", "zip", "none"]:
    """What Argo takes a file for: a tarball is packed by gzip and has entries."""
    if path.is_dir():
        return "none"
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic[:2] == b"\x1f\x8b":
        try:
            with _Careful(path) as plain, tarfile.open(fileobj=plain, mode="r:") as archive:
                return "none" if archive.next() is None else "tar"
        except (*_DAMAGED, OSError):
            return "none"
    return "zip" if magic in (b"PK\x03\x04", b"PK\x05\x06") and zipfile.is_zipfile(path) else "none"


def _untar(source: Path, box: _Box) -> None:
    # not TarFile.extractall(filter="data"): Python 3.11.2, which Debian 12 has, does not know filters
    with _Careful(source, box) as plain, tarfile.open(fileobj=plain, mode="r:") as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # or it keeps them all
            if member.isdir():
                box.count(member.name, 0)
                box.folder(member.name)
            elif member.isreg():
                box.count(member.name, member.size)
                content = archive.extractfile(member)
                assert content is not None
                with content:
                    box.file(member.name, content, member.mode & 0o777 | stat.S_IRUSR | stat.S_IWUSR)
            elif member.islnk():
                box.count(member.name, 0)
                box.second_name(member.name, member.linkname)
            elif member.issym():
                box.count(member.name, 0)
                box.link(member.name, member.linkname)
            else:
                raise box.refused(member.name, "is a device or a pipe")


def _unzip(source: Path, box: _Box) -> None:
    with zipfile.ZipFile(source) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            box.count(info.filename, info.file_size)
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise box.refused(info.filename, "is no plain file")
            if info.is_dir():
                box.folder(info.filename)
                continue
            with archive.open(info) as content:
                permissions = (mode & 0o777 or 0o644) | stat.S_IRUSR
                box.file(info.filename, content, permissions)


class _Careful(gzip.GzipFile):
    """The bytes of a tar archive: seeking over an entry counts, a header has its bound."""

    def __init__(self, path: Path, box: _Box | None = None) -> None:
        super().__init__(path, "rb")
        self._box = box

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET and self._box is not None:  # what is left out is unpacked, too
            self._box.passed(offset)
        return super().seek(offset, whence)

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _HEADER:
            raise tarfile.ReadError("a header is too large")
        return super().read(size)


class _Box:
    """The folder that an archive is unpacked into."""

    def __init__(
        self, source: Path, folder: Path, limits: UnpackLimits, going_on: Callable[[], None]
    ) -> None:
        self._going_on = going_on
        self._source = source
        self._limits = limits
        self._top = os.open(folder, _FOLDER)
        self._packed = source.stat().st_size
        self._files = 0
        self._bytes = 0
        self._links: dict[tuple[str, ...], str] = {}
        self._last: tuple[tuple[str, ...], int] | None = None  # the folder that was used last

    def __enter__(self) -> _Box:
        return self

    def __exit__(self, *_: object) -> None:
        if self._last is not None:
            os.close(self._last[1])
        os.close(self._top)

    def refused(self, name: str, why: str) -> StoreError:
        return StoreError(
            "TIP442",
            f"the archive {self._source.name} is refused: {name!r} {why}",
            where=str(self._source),
            cause="such an entry could overwrite files that are not the step's",
        )

    def count(self, name: str, size: int) -> None:
        """One entry more, of so many bytes."""
        self._going_on()
        self._files += 1
        self._bytes += max(size, 0)
        if self._files > self._limits.max_files:
            raise self._too_large(f"more than {self._limits.max_files} files")
        self.bound(self._bytes)

    def bound(self, total: int) -> None:
        """Refuse an archive that holds so many bytes, if they are too many."""
        if total > self._limits.max_bytes:
            raise self._too_large(f"more than {self._limits.max_bytes} bytes")
        if total > max(self._limits.floor, self._limits.max_ratio * self._packed):
            raise self._too_large(
                f"{self._packed} bytes hold more than {self._limits.max_ratio} times as many"
            )

    def passed(self, offset: int) -> None:
        """So many bytes of the unpacked archive were read, or left out."""
        self.bound(offset - _OVERHEAD * (self._files + 2))

    def folder(self, name: str) -> None:
        self._into(self._parts(name))

    def file(self, name: str, content: IO[bytes], mode: int) -> None:
        *above, last = self._named(name)
        folder = self._into(tuple(above))
        self._make_room(folder, (*above, last), name)
        with open(os.open(last, _NEW, 0o600, dir_fd=folder), "wb") as stream:
            while piece := content.read(_CHUNK):
                self._going_on()
                stream.write(piece)
            os.fchmod(stream.fileno(), mode)

    def link(self, name: str, target: str) -> None:
        """A symbolic link; it is made by :meth:`make_links`."""
        parts = self._named(name)
        folder = self._into(parts[:-1])
        self._make_room(folder, parts, name)
        self._links[parts] = target

    def second_name(self, name: str, first: str) -> None:
        """Another name for a file of the archive (a hard link)."""
        parts, other = self._named(name), self._named(first)
        if other in self._links:
            self.link(name, self._links[other])
            return
        if parts == other:
            return
        with self._opened(other[:-1], first) as old:
            folder = self._into(parts[:-1])
            self._make_room(folder, parts, name)
            try:
                os.link(other[-1], parts[-1], src_dir_fd=old, dst_dir_fd=folder, follow_symlinks=False)
            except (FileNotFoundError, PermissionError):
                raise self.refused(name, f"is another name of {first!r}, which is no file in it") from None

    def make_links(self) -> None:
        """Make the links, when it is clear that each leads to a place inside.

        One folder that is all there is is laid out by itself, under another name: of it, too, none may lead out.
        """
        top = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._top)
        try:
            alone = len(os.listdir(top)) == 1 and not any(len(parts) == 1 for parts in self._links)
        finally:
            os.close(top)
        for parts, target in self._links.items():
            self._check(parts, target, 1 if alone else 0)
        for parts, target in self._links.items():
            os.symlink(target, parts[-1], dir_fd=self._into(parts[:-1]))

    # -- inside -----------------------------------------------------------------------------------------------

    def _check(self, parts: tuple[str, ...], target: str, depth: int) -> None:
        """Refuse a link that leads out, to fewer folders than ``depth``, by itself or by way of the others."""
        if "\0" in target:
            raise self.refused("/".join(parts), "is a link with a NUL")
        done = list(parts[:-1])
        left = target.split("/")[::-1]
        outside = target.startswith("/")
        followed = 0
        while left and not outside:
            part = left.pop()
            if part in ("", "."):
                continue
            if part == "..":
                outside = len(done) <= depth
                done = done[:-1]
                continue
            done.append(part)
            further = self._links.get(tuple(done))
            if further is None:
                continue
            followed += 1
            if followed > _MOST_LINKS:
                return  # it leads nowhere
            outside = further.startswith("/")
            done.pop()
            left += further.split("/")[::-1]
        if outside:
            raise self.refused(
                "/".join(parts), f"is a link that leads outside of the archive's folder ({target})"
            )

    def _parts(self, name: str) -> tuple[str, ...]:
        """The names on the way to an entry; refuses one that leaves the folder."""
        path = os.path.normpath(name)
        parts = tuple(part for part in path.split("/") if part not in ("", "."))
        if path.startswith("/") or parts[:1] == ("..",) or "\0" in name:
            raise self.refused(name, "is outside of the archive's folder")
        if len(parts) > _DEEPEST:
            raise self.refused(name[:200], f"lies more than {_DEEPEST} folders deep")
        return parts

    def _named(self, name: str) -> tuple[str, ...]:
        parts = self._parts(name)
        if not parts:
            raise self.refused(name, "is the archive's folder itself")
        return parts

    def _make_room(self, folder: int, parts: tuple[str, ...], name: str) -> None:
        """A later entry of the same name counts."""
        self._links.pop(parts, None)
        try:
            os.unlink(parts[-1], dir_fd=folder)
        except FileNotFoundError:
            return
        except OSError:
            raise self.refused(name, "is a folder, too") from None

    def _into(self, parts: tuple[str, ...]) -> int:
        """The descriptor of a folder, which is made."""
        if self._last is not None:
            if self._last[0] == parts:
                return self._last[1]
            os.close(self._last[1])
            self._last = None
        found = self._walk(parts, make=True)
        self._last = (parts, found)
        return found

    @contextlib.contextmanager
    def _opened(self, parts: tuple[str, ...], name: str) -> Iterator[int]:
        try:
            found = self._walk(parts, make=False)
        except OSError:
            raise self.refused(name, "is not in it") from None
        try:
            yield found
        finally:
            os.close(found)

    def _walk(self, parts: tuple[str, ...], *, make: bool) -> int:
        here = os.dup(self._top)
        try:
            for at, part in enumerate(parts):
                if parts[: at + 1] in self._links:
                    raise self.refused("/".join(parts), "lies behind a link")
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=here)
                below = os.open(part, _FOLDER, dir_fd=here)
                os.close(here)
                here = below
        except NotADirectoryError:
            os.close(here)
            raise self.refused("/".join(parts), "is a file, and a folder, too") from None
        except BaseException:
            os.close(here)
            raise
        return here

    def _too_large(self, why: str) -> StoreError:
        return StoreError(
            "TIP444",
            f"the archive {self._source.name} is too large: {why}",
            where=str(self._source),
            cause="this is what a decompression bomb looks like",
            fix="store what is really so large without packing it: archive: {none: {}}",
        )
