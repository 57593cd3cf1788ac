"""Writing a file that the user has named."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from tiphys.errors import RunError

__all__ = ["write_atomically"]


def write_atomically(path: Path, text: str) -> None:
    """Write to a temporary file beside ``path``, flush, rename: all of it or nothing. The mode stays.

    A link stays one: the file that it leads to is written. What is no file (a pipe, ``/dev/null``) is written into: to
    rename a file over a device would take it away from everybody. Raises RunError (TIP302).
    """
    real = Path(os.path.realpath(path))
    temporary = real.with_name(f".{real.name[:200]}.{secrets.token_hex(6)}.tmp")
    try:
        if real.exists() and not real.is_file():
            real.write_text(text, encoding="utf-8")
            return
        try:
            with temporary.open("x", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            if real.exists():
                temporary.chmod(real.stat().st_mode & 0o7777)
            temporary.replace(real)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
    except OSError as error:
        folder = real.parent
        raise RunError(
            "TIP302",
            f"{path} cannot be written: {error.strerror or error}",
            where=str(path),
            cause="" if folder.is_dir() else f"there is no folder {folder}",
            fix="check its owner, its permissions and the room on the disk"
            if folder.is_dir()
            else "make the folder, or give another file",
        ) from error
