"""Content-addressed artifacts: what a step's output artifact becomes, and how an input artifact is laid out.

A file is stored once under the SHA-256 of its bytes. Packing is deterministic (sorted names, no times, no
owners), so that equal content has an equal digest. What is unpacked stays in its folder: :mod:`tiphys.store.unpack`.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import io
import os
import posixpath
import secrets
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

from tiphys.errors import StoreError
from tiphys.frozen import frozen
from tiphys.reference import NotAFile, file_digest, open_file
from tiphys.store.files import clear, remove, sweep, sync_folder, temporary_file
from tiphys.store.unpack import UnpackLimits, archive_kind
from tiphys.store.unpack import unpack as unpack_archive

__all__ = ["Artifacts", "Packing", "Stored", "Unreadable", "members"]

Packing = Literal["tar", "zip", "none"]
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SPARSE = 1 << 32  # bytes that a file may claim without having them written


class Unreadable(Exception):
    """What is to be packed may not be read by this user; ``name`` is what it would be called in the archive."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@frozen
class Stored:
    """A stored artifact: ``digest`` is ``sha256:<hex>`` of the stored file, ``size`` its bytes."""

    digest: str
    size: int


class Artifacts:
    """The artifacts of one store."""

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = UnpackLimits.max_bytes,
        max_files: int = UnpackLimits.max_files,
        max_ratio: int = UnpackLimits.max_ratio,
    ) -> None:
        self.folder = folder
        self.abandoned = False  # nobody waits any more for what is stored or laid out now
        self.limits = UnpackLimits(max_bytes, max_files, max_ratio)

    @property
    def incoming(self) -> Path:
        """Where files are while they are written: on the same file system, and swept by each run that begins."""
        return self.folder / "incoming"

    def path(self, digest: str) -> Path:
        """Where the file with this digest is, or would be."""
        algorithm, _, value = digest.partition(":")
        if algorithm != "sha256" or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
            raise StoreError("TIP441", f"{digest!r} is not a digest", fix="sha256: and 64 hex digits")
        return self.folder / "sha256" / value[:2] / value[2:]

    def put(
        self,
        source: Path,
        packing: Packing = "tar",
        *,
        level: int = 6,
        name: str = "",
        laid: Mapping[str, Path] | None = None,
    ) -> Stored:
        """Store a file or folder. ``none`` keeps a file's bytes as they are (a folder is packed by tar all the same,
        uncompressed). ``name``: what it is called in an archive, if not as it is; ``laid``: what lies elsewhere and
        belongs at these paths below it. Raises StoreError or Unreadable."""
        with clear(self.incoming):
            self.incoming.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = temporary_file(self.incoming)
            try:
                with _Stoppable(descriptor, self) as stream:
                    if packing == "zip":
                        _pack_zip(members(source, name, laid), stream)
                    elif packing == "tar" or source.is_dir():
                        _pack_tar(members(source, name, laid), stream, level if packing == "tar" else 0)
                    else:
                        with _open(source, name or source.name) as plain:
                            _copy(plain, stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                    with temporary.open("rb") as written:
                        digest = "sha256:" + hashlib.file_digest(written, "sha256").hexdigest()
                    size = temporary.stat().st_size
                    target = self.path(digest)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with self._guard(fcntl.LOCK_SH):
                        # also over an equal one: its time says that it is wanted now
                        temporary.replace(target)
                    sync_folder(target.parent)
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink()
        return Stored(digest, size)

    def verify(self, digest: str, *, read: Callable[[Path], str] = file_digest) -> str:
        """Why the artifact cannot be trusted, or an empty string. ``read`` is asked for the digest of its file."""
        try:
            found = read(self.path(digest))
        except FileNotFoundError:
            return f"artifact {digest} is gone"
        except OSError as error:
            return f"artifact {digest} cannot be read: {error.strerror}"
        return "" if found == digest else f"artifact {digest} has another content than recorded"

    def get(
        self,
        digest: str,
        target: Path,
        *,
        mode: int | None = None,
        recurse_mode: bool = False,
        unpack: bool = True,
    ) -> None:
        """Lay the artifact out at ``target`` as Argo does: an archive is unpacked, and one that holds a single
        file or folder becomes ``target`` itself. ``unpack=False``: the bytes as they are. Raises StoreError."""
        self.lay_out(self.path(digest), target, mode=mode, recurse_mode=recurse_mode, unpack=unpack)

    def lay_out(
        self,
        source: Path,
        target: Path,
        *,
        mode: int | None = None,
        recurse_mode: bool = False,
        unpack: bool = True,
    ) -> None:
        """Like :meth:`get` for a file anywhere."""
        with clear(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir() and not target.is_symlink():
                remove(target, strict=True)
            else:
                target.unlink(missing_ok=True)
            kind = archive_kind(source) if unpack else "none"
            box = target.with_name(f".tiphys-{secrets.token_hex(12)}")
            if kind == "none":
                try:  # never into what somebody puts in its place meanwhile
                    shutil.copyfile(source, box)
                    box.rename(target)
                finally:
                    box.unlink(missing_ok=True)
            else:
                box.mkdir()
                try:
                    unpack_archive(source, box, kind=kind, limits=self.limits, going_on=self.going_on)
                    entries = list(box.iterdir())
                    # Argo renames whatever single thing was packed to the wanted name
                    if len(entries) == 1:
                        entries[0].rename(target)
                    else:
                        box.rename(target)
                finally:
                    remove(box)
            if mode is not None:
                _chmod(target, mode, recurse_mode)

    def going_on(self) -> None:
        """Raises StoreError TIP447 when nobody waits any more."""
        if self.abandoned:
            raise StoreError("TIP447", "the run was stopped while an artifact was on its way")

    def collect(self, keep: Iterable[str], *, dry_run: bool = False, older_than: float = 0.0) -> list[Stored]:
        """Delete every artifact that is not in ``keep`` and was stored more than ``older_than`` seconds ago; what was
        (or would be) deleted.

        With some seconds it is safe while others store: an artifact has no key yet for a moment after :meth:`put`.
        """
        wanted = {digest.partition(":")[2] for digest in keep}
        now = time.time()
        gone: list[Stored] = []
        for path in sorted((self.folder / "sha256").glob("??/*")):
            value = path.parent.name + path.name
            if value in wanted:
                continue
            with self._guard(fcntl.LOCK_EX), contextlib.suppress(FileNotFoundError):
                known = path.stat()
                if older_than and now - known.st_mtime < older_than:
                    continue
                if not dry_run:
                    path.unlink()
                gone.append(Stored("sha256:" + value, known.st_size))
        if not dry_run:
            sweep(self.incoming)
        return gone

    # -- inside -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _guard(self, how: int) -> Iterator[None]:
        """Between a file that is put in place and one that is taken away, of all processes on this store."""
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)


def members(source: Path, name: str = "", laid: Mapping[str, Path] | None = None) -> list[tuple[Path, str]]:
    """Everything to pack with its name in the archive, sorted; the top is ``name``, or the source's own.

    ``laid``: path below the top -> what is there instead, perhaps nothing. It is never reached through a link.
    """
    top = name or source.name
    laid = laid or {}
    beside: dict[str, list[str]] = {}
    for each in laid:
        beside.setdefault(posixpath.dirname(each), []).append(posixpath.basename(each))
    found: list[tuple[Path, str]] = []
    left = [(source, "")]
    while left:
        path, inside = left.pop()
        found.append((path, f"{top}/{inside}" if inside else top))
        if path.is_symlink() or not path.is_dir():
            continue
        names = set(beside.get(inside, ()))
        try:
            names.update(os.listdir(path))
        except PermissionError as error:
            raise Unreadable(found[-1][1]) from error
        except OSError:
            pass
        for each in names:
            below = f"{inside}/{each}" if inside else each
            place = laid.get(below, path / each)
            if below not in laid or os.path.lexists(place):
                left.append((place, below))
    return sorted(found, key=lambda pair: pair[1])


def _open(path: Path, name: str) -> IO[bytes]:
    """Raises Unreadable, or StoreError for what is no file, or claims to be far larger than what was written."""
    try:
        stream = open_file(path)
    except PermissionError as error:
        raise Unreadable(name) from error
    except NotAFile as error:
        raise StoreError("TIP446", f"{name} cannot be stored: {error}", where=str(path)) from error
    known = os.fstat(stream.fileno())
    if known.st_size > max(_SPARSE, 512 * known.st_blocks * UnpackLimits.max_ratio):
        stream.close()
        raise StoreError(
            "TIP444",
            f"{name} is too large: {known.st_size} bytes, of which {512 * known.st_blocks} were written",
            where=str(path),
            cause="a sparse file is stored with all its zeros",
        )
    return stream


class _Stoppable(io.FileIO):
    """The file that is written, until nobody waits for it."""

    def __init__(self, descriptor: int, artifacts: Artifacts) -> None:
        super().__init__(descriptor, "wb")
        self._artifacts = artifacts

    def write(self, data: Any) -> int:
        self._artifacts.going_on()
        left = memoryview(data).cast("B")
        size = len(left)
        while left:
            left = left[super().write(left) :]
        return size


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    """As much as there is now: the file may grow for ever."""
    left = os.fstat(source.fileno()).st_size
    while left > 0 and (piece := source.read(min(left, 1 << 20))):
        target.write(piece)
        left -= len(piece)


def _pack_tar(members: Iterable[tuple[Path, str]], stream: IO[bytes], level: int) -> None:
    with contextlib.ExitStack() as stack:
        zipped: Any = gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=stream, mtime=0)
        stack.enter_context(contextlib.closing(zipped))
        archive = stack.enter_context(tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT))
        for path, name in members:
            info = archive.gettarinfo(path, name)
            if info is None or not (info.isreg() or info.isdir() or info.issym() or info.islnk()):
                continue  # sockets and pipes
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = 0
            if info.islnk():  # a second name of the same file: pack the bytes again
                info.type = tarfile.REGTYPE
                info.linkname = ""
                info.size = path.stat().st_size
            if info.isreg():
                with _open(path, name) as content:
                    archive.addfile(info, content)
            else:
                archive.addfile(info)


def _pack_zip(members: Iterable[tuple[Path, str]], stream: IO[bytes]) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for path, name in members:
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                continue
            info = zipfile.ZipInfo(name + "/" if path.is_dir() else name, _EPOCH)
            info.external_attr = path.stat().st_mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            if path.is_dir():
                archive.writestr(info, b"")
            else:
                with _open(path, name) as content, archive.open(info, "w", force_zip64=True) as packed:
                    _copy(content, packed)


def _chmod(target: Path, mode: int, recurse: bool) -> None:
    if target.is_symlink():
        return
    target.chmod(mode)
    if recurse and target.is_dir():
        for path in target.rglob("*"):
            if not path.is_symlink():
                path.chmod(mode)
