"""Folders that appear whole or not at all: written beside their place under a hidden name, sealed, renamed.

A reader never sees a half-written folder: not after an exception, a signal, a full disk or a power loss. What a
killed process leaves behind is a hidden ``.tmp-…`` folder, which the next writer in the same place removes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tiphys.errors import ComponentError
from tiphys.reference import MANIFEST, Reference, file_digest, resolve, seal, verify

__all__ = ["ABANDONED_AFTER_SECONDS", "publish", "published", "write_file", "writing"]

# A temporary folder of another host is taken for abandoned when nothing was written to it for this long.
ABANDONED_AFTER_SECONDS = 6 * 3600.0
_PREFIX = ".tmp-"
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def writing(where: Path | str) -> Iterator[None]:
    """Turn the system's refusals to write below ``where`` into one ComponentError (TIP707)."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ComponentError(
                "TIP707",
                f"no space left to write {where}",
                where=str(error.filename or where),
                cause=error.strerror or str(error),
                fix="free some space or enlarge the volume, then run again: nothing half-written was left",
            ) from error
        if error.errno in _REFUSED:
            raise ComponentError(
                "TIP707",
                f"{where} cannot be written",
                where=str(error.filename or where),
                cause=error.strerror or str(error),
                fix="the volume must be a folder that this user may write",
            ) from error
        raise


def published(uri: str, *, content: bool = True) -> Reference | None:
    """The Reference of the sealed folder at ``uri`` when it is there and verifies, else None."""
    if verify(Reference(uri), content=content):
        return None
    try:
        return Reference(uri, file_digest(resolve(uri) / MANIFEST))
    except FileNotFoundError:
        return None


def publish(
    uri: str,
    build: Callable[[Path], None],
    *,
    sound: Callable[[str], Reference | None] | None = None,
    beside: Sequence[str] = (),
) -> Reference:
    """Let ``build`` fill a temporary folder, seal it and rename it to ``uri``; return its Reference.

    Idempotent: when a folder that is ``sound`` (default: :func:`published`) is there already, it is kept and
    ``build`` is not called; one that is not is replaced. Of two writers that race one wins, and both get the
    winner's Reference. ``beside``: see :func:`tiphys.reference.seal`.
    """
    sound = sound or published
    found = sound(uri)
    if found is not None:
        return found
    target = resolve(uri)
    with writing(uri):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        temporary = (
            target.parent / f"{_PREFIX}{target.name}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
        )
        temporary.mkdir()
        try:
            build(temporary)
            digest = seal(temporary, beside=beside)
            _sync_tree(temporary)
            return Reference(uri, _move(temporary, target, uri, digest, sound))
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_file(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that the file is there whole or not at all."""
    temporary = path.with_name(f"{_PREFIX}{path.name}-{os.getpid()}-{uuid.uuid4().hex}")
    with writing(path):
        try:
            with temporary.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _move(
    temporary: Path, target: Path, uri: str, digest: str, sound: Callable[[str], Reference | None]
) -> str:
    for _ in range(3):
        try:
            os.rename(temporary, target)
            _sync(target.parent)
            return digest
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise
        theirs = sound(uri)
        if theirs is not None:
            return theirs.digest
        aside = target.parent / f"{_PREFIX}broken-{uuid.uuid4().hex}"
        with contextlib.suppress(FileNotFoundError):
            os.rename(target, aside)
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)
    raise ComponentError(
        "TIP707", f"{uri} is being replaced by others again and again", fix="run the step again"
    )


def _sweep(parent: Path) -> None:
    """Remove temporary folders of processes that are gone."""
    now = time.time()
    for path in parent.glob(_PREFIX + "*"):
        with contextlib.suppress(OSError):
            if now - path.stat().st_mtime > ABANDONED_AFTER_SECONDS or _is_dead(path.name):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _is_dead(name: str) -> bool:
    """True when the name says that it belongs to a process of this host that no longer exists."""
    head, _, pid = name.rpartition("-")[0].rpartition("-")
    if not pid.isdigit() or not head.endswith("-" + socket.gethostname()):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _sync_tree(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
