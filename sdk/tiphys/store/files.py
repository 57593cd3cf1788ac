"""Files that are either whole or not there: temporary name, flush to disk, rename.

A temporary file is locked (``flock``) by who writes it: what a killed process has left is nobody's, and the next one
removes it (:func:`sweep`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tiphys.errors import StoreError

__all__ = [
    "alone",
    "clear",
    "heed_full_disk",
    "no_room",
    "remove",
    "replacing",
    "sweep",
    "sync_folder",
    "temporary_file",
    "write_atomic",
    "write_json",
]


_TEMPORARY = ".tmp"
_encode = json.JSONEncoder(ensure_ascii=False).encode
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def no_room(error: BaseException | None) -> bool:
    """Whether an exception, or what it was raised from, is a full disk, quota or file size limit."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        error = error.__cause__
    return False


def heed_full_disk(error: BaseException) -> None:
    """Raise the StoreError or OSError of a full disk, if an exception comes of one: that is no step's failure."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, StoreError | OSError) and no_room(cause):
            raise cause
        cause = cause.__cause__


@contextlib.contextmanager
def clear(path: Path | str, doing: str = "write") -> Iterator[None]:
    """Turn an OSError into a StoreError that names ``path``, and says so when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreError(
                "TIP411",
                f"cannot {doing} {path}: {os.strerror(error.errno)}",
                where=str(path),
                cause="the disk, the quota or the file size limit is exhausted",
                fix="free some space (tiphys cache gc) or give another folder with --store; then the same again",
            ) from error
        raise StoreError(
            "TIP412",
            f"cannot {doing} {path}: {error.strerror or error}",
            where=str(path),
            fix="check the folder's owner and permissions, or give another folder with --store",
        ) from error


def temporary_file(folder: Path, name: str = "", *, private: bool = False) -> tuple[int, Path]:
    """A new file in ``folder``, open for writing, that is this process's until it is closed. ``private``: nobody else
    on this machine may read it."""
    while True:
        path = folder / f".{name[:200]}.{secrets.token_hex(6)}{_TEMPORARY}"
        descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600 if private else 0o666
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return descriptor, path
        except BlockingIOError:  # somebody sweeps at this very moment
            pass
        os.close(descriptor)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[int | None]:
    """A descriptor of the file ``path``, which is this process's alone for the block, and as long as others live whom
    it is given to; None while somebody else has it. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove the temporary files in ``folder`` whose writers are gone."""
    with contextlib.suppress(OSError):
        for path in folder.glob(f".*{_TEMPORARY}"):
            with contextlib.suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                finally:
                    os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False, beside: Path | None = None) -> Iterator[IO[bytes]]:
    """A binary stream whose content replaces ``path`` when the block ends well, and vanishes when it does not.

    ``private``: nobody else on this machine may read the file. ``beside``: the folder of the temporary file, on the
    same file system, if not the file's own.
    """
    with clear(path):
        descriptor, temporary = temporary_file(beside or path.parent, path.name, private=private)
        try:
            with open(descriptor, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                temporary.replace(path)
            sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def write_atomic(path: Path, data: bytes, *, beside: Path | None = None) -> None:
    """Replace the content of ``path`` in one step. Raises StoreError."""
    with replacing(path, beside=beside) as stream:
        stream.write(data)


def write_json(path: Path, value: Any, *, private: bool = False) -> None:
    """Replace the content of ``path`` by a value as JSON, in one step. Raises StoreError.

    The text of a large run never lies in memory as a whole.
    """
    with replacing(path, private=private) as stream:
        for piece in _pieces(value, 3):
            stream.write(piece.encode())
        stream.write(b"\n")


def _pieces(value: Any, depth: int) -> Iterator[str]:
    """The JSON text of a value; what lies deeper than ``depth`` maps is in one piece."""
    if not isinstance(value, dict) or not value:
        yield _encode(value)
        return
    mark = "{"
    for key, item in value.items():
        head = f"{mark}{_encode(str(key))}: "
        if depth == 1:
            yield head + _encode(item)
        else:
            yield head
            yield from _pieces(item, depth - 1)
        mark = ", "
    yield "}"


def sync_folder(folder: Path) -> None:
    """Flush the entries of ``folder`` (a rename is durable only then)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(folder: Path | str, *, strict: bool = False) -> None:
    """Remove a tree that somebody else has made, however deep it is; ``strict``: raise OSError for what stays."""
    try:
        shutil.rmtree(folder, ignore_errors=not strict)
    except RecursionError:
        # this Python goes down by calling itself; the program does not
        done = subprocess.run(["rm", "-rf", "--", str(folder)], capture_output=True, text=True, check=False)
        if strict and done.returncode:
            raise OSError(done.stderr.strip()) from None
