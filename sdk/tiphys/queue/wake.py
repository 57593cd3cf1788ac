"""The kernel tells when a file is written (inotify, of Linux): who waits for another process need not look."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

__all__ = ["hear", "listen"]

_MODIFY = 0x2


def listen(file: Path) -> int | None:
    """A descriptor that can be read when somebody has written the file; None where the kernel gives none, as to a user
    who has a hundred and more of them."""
    try:
        libc = ctypes.CDLL(None)
        descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)  # its flags are these
        if descriptor < 0:
            return None
        if libc.inotify_add_watch(descriptor, os.fsencode(file), _MODIFY) < 0:
            os.close(descriptor)
            return None
    except (OSError, AttributeError):
        return None
    return descriptor


def hear(descriptor: int) -> None:
    """Take what was told so far."""
    with contextlib.suppress(BlockingIOError):
        while os.read(descriptor, 65536):
            pass
