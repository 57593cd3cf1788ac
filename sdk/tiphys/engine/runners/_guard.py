"""The guard of a keeper: the process above it, which outlives it by a moment.

It reads no socket and starts nothing; it waits, and clears up. Imported by ``_keeper.py``, which runs without tiphys.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

__all__ = ["CHUNK", "RECORDS", "children", "hush", "reap_orphans", "watch"]

PR_SET_CHILD_SUBREAPER = 36
RECORDS = "processes"  # in the run's folder
CHUNK = 1 << 16


def children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as stream:
            return [int(word) for word in stream.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def hush() -> None:
    """Hold nothing that the engine wrote to: who reads it waits for its end."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 2)
    os.close(null)


def reap_orphans() -> int:
    """Adopt what loses its parent below this process."""
    import ctypes  # the engine, which only wants the names of this module, does not

    return int(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def watch(inner: int, folder: int) -> None:
    """The guard: when the inner process did not end by itself, kill what it leaves behind.

    What had ended well by then, and was not written down, has ended: its body does not run again. (How another ended
    may be the work of the kill, and of one whose stdout was kept the rest is lost.)
    """
    if os.waitpid(inner, 0)[1] == 0:
        return
    well: set[int] = set()
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            if found[1] == 0:
                well.add(found[0])
    if folder >= 0 and well:
        with contextlib.suppress(OSError):
            book = os.open(RECORDS, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, dir_fd=folder)
            ended = b"".join(b"- %d 0 ;\n" % number for number in unfinished(book, well))
            if ended:
                os.write(book, b"\n" + ended)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (left := children(os.getpid())):
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.002)


def unfinished(book: int, pids: set[int]) -> list[int]:
    """The ids of processes of which only the start is written down, and no stdout was to be kept."""
    data = b""
    while piece := os.read(book, CHUNK):
        data += piece
    found: dict[int, int] = {}  # id -> pid
    for line in data.split(b"\n"):
        words = line.split(b" ", 3)
        if not line.endswith(b";") or len(words) < 3:
            continue
        with contextlib.suppress(ValueError):
            if words[0] == b"!":
                found.clear()  # of an earlier keeper
            elif words[0] == b"+":
                found[int(words[1])] = int(words[2])
            elif words[0] == b"-":
                found.pop(int(words[1]), None)
    return [number for number, pid in found.items() if pid in pids]
