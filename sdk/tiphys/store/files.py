"""Files that are either whole or not there: temporary name, flush to disk, rename."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tiphys.errors import StoreError

__all__ = ["clear", "remove", "replacing", "sync_folder", "write_atomic", "write_json"]


@contextlib.contextmanager
def clear(path: Path | str, doing: str = "write") -> Iterator[None]:
    """Turn an OSError into a StoreError that names ``path``, and says so when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreError(
                "TIP411",
                f"cannot {doing} {path}: {os.strerror(error.errno)}",
                where=str(path),
                cause="the disk, the quota or the file size limit is exhausted",
                fix="free some space (tiphys cache gc) or give another folder with --store; "
                "then the same command continues",
            ) from error
        raise StoreError(
            "TIP412",
            f"cannot {doing} {path}: {error.strerror or error}",
            where=str(path),
            fix="check the folder's owner and permissions, or give another folder with --store",
        ) from error


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """A binary stream whose content replaces ``path`` when the block ends well, and vanishes when it does not.

    ``private``: nobody else on this machine may read the file.
    """
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}.tmp")
    with clear(path):
        try:
            with open(temporary, "wb", opener=_private if private else None) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the content of ``path`` in one step. Raises StoreError."""
    with replacing(path) as stream:
        stream.write(data)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


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
    if not depth or not isinstance(value, dict) or not value:
        yield json.dumps(value, ensure_ascii=False)
        return
    mark = "{"
    for key, item in value.items():
        yield f"{mark}{json.dumps(str(key), ensure_ascii=False)}: "
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
