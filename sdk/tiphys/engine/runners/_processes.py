"""What a keeper and those beside it have in common: whose children there are, and how all that is left is killed.

Imported by ``_keeper.py``, which runs without tiphys.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import resource
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "MARK",
    "RECORDS",
    "begin",
    "bury",
    "children",
    "hush",
    "inside",
    "mark",
    "name",
    "reap_orphans",
    "received",
    "records",
    "send",
    "unfinished",
    "used",
    "watchman",
]

PR_SET_CHILD_SUBREAPER = 36
RECORDS = "processes"  # in the run's folder
MARK = "TIPHYS_PROCESS"  # in every process's environment: whose it is
_MARKED = f"{MARK}=".encode()


def children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb", buffering=0) as stream:
            return [int(word) for word in stream.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def used(pid: int, strays: Callable[[], Iterable[int]]) -> tuple[int, float]:
    """Wait for a child that has ended: the most bytes that it, or one that it waited for, had at once, and the seconds
    of all. What it left behind in its session, and is dying, counts: a sandbox's monitor waits for nobody. ``strays``:
    the children that might be such.

    0 bytes: no more than this process itself, whose memory a child shares until its program begins.
    """
    ends, own = [os.wait4(pid, 0)[2]], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for each in strays():
        with contextlib.suppress(OSError):
            if os.getsid(each) == pid:
                ends += _dying(each)
    peak = max(each.ru_maxrss for each in ends)
    return 1024 * peak if peak > own else 0, sum(each.ru_utime + each.ru_stime for each in ends)


def _dying(pid: int) -> list[resource.struct_rusage]:
    for _ in range(10):
        found, _, told = os.wait4(pid, os.WNOHANG)
        if found:
            return [told]
        time.sleep(0.0005)
    return []  # it is reaped later


def mark(pid: int) -> int | None:
    """The id that a process is marked with; -1: none. None: nobody may know, as of one that has ended."""
    found = _mark(pid)
    return int(found.rpartition(b"-")[2]) if found else None if found is None else -1


def send(number: int, wanted: Callable[[bytes], object]) -> bool:
    """Send a signal to all processes whose mark, ``TOKEN-ID``, is wanted; whether there were any."""
    sent = False
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError):
            if (found := _mark(pid)) and wanted(found):
                os.kill(pid, number)
                sent = True
    return sent


def _mark(pid: int) -> bytes | None:
    try:
        found = _read(pid, "environ")
        for _ in range(0 if found else 100):
            begins = _begins(pid)
            if (found := _read(pid, "environ")) or not begins:
                break
            time.sleep(0.001)
    except (ProcessLookupError, PermissionError):  # of one that has ended: who is root, and who is not
        return None
    for entry in found.split(b"\0"):
        if entry.startswith(_MARKED):
            return entry[len(_MARKED) :]
    return b"" if found else None


def _begins(pid: int) -> bool:
    """Whether it has a program and no words yet: the kernel is about to give them to it, and the mark with them."""
    with contextlib.suppress(OSError):
        return bool(os.readlink(f"/proc/{pid}/exe")) and not _read(pid, "cmdline")
    return False


def _read(pid: int, file: str) -> bytes:
    with open(f"/proc/{pid}/{file}", "rb") as stream:
        return stream.read()


def name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def inside(pid: int) -> list[int]:
    """The processes in the sandbox whose monitor is ``pid``; empty when it is no sandbox."""
    if name(pid) != "bwrap":
        return []
    found, look = [], [pid]
    while look:
        for child in children(look.pop()):
            look.append(child)
            if name(child) != "bwrap":
                found.append(child)
    return found


def begin(sock: socket.socket) -> tuple[str, float, dict[str, int]] | None:
    """What the engine wants kept: token, grace and descriptors; None when it has gone without a whole word."""
    with contextlib.suppress(OSError, EOFError, ValueError):
        data, descriptors = received(sock, 4, 3)
        if len(data) == 4:
            size = struct.unpack("<I", data)[0]
            token, grace, names = marshal.loads(sock.recv(size, socket.MSG_WAITALL))
            return token, grace, dict(zip(names, descriptors, strict=True))
    return None


def received(sock: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """What comes over a socket, with at most so many descriptors, which no program inherits: the flag for that is not
    heeded by Python 3.11's ``recv_fds``. Raises OSError."""
    data, descriptors, _, _ = socket.recv_fds(sock, size, most)
    for each in descriptors:
        os.set_inheritable(each, False)
    return data, descriptors


def hush() -> None:
    """Hold nothing that the engine wrote to: who reads it waits for its end."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 2)
    os.close(null)


def reap_orphans() -> int:
    """Adopt what loses its parent below this process."""
    import ctypes  # the engine, which only wants the names of this module, does not

    return int(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def bury(token: str) -> None:
    """Kill every process that is marked with ``token``, and what those start meanwhile."""
    ours = f"{token}-".encode()
    for _ in range(10):
        if not send(signal.SIGKILL, lambda found: found.startswith(ours)):
            return
        time.sleep(0.01)


def watchman(token: str) -> int:
    """A child of this process that waits for its end, and then kills what it has left: the child's PID."""
    reader, _writer = os.pipe()  # this process alone holds the writing end, to its own end
    child = os.fork()
    if child:
        os.close(reader)
        return child
    try:
        hush()
        os.dup2(reader, 3)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))  # also what others wait for until it is closed
        os.read(3, 1)
        bury(token)
    finally:
        os._exit(0)


def unfinished(folder: int) -> dict[int, tuple[int, bytes]]:
    """The processes of which only the start is written down: by their ids, pids (0: not written down) and marks."""
    data = b""
    with contextlib.suppress(OSError):
        book = os.open(RECORDS, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(book, "rb") as stream:
            data = stream.read()
    found: dict[int, tuple[int, bytes]] = {}
    for mark, words in records(data):
        with contextlib.suppress(ValueError, KeyError, IndexError):
            if mark == b"!":
                found.clear()  # of an earlier keeper
                continue
            number, value = int(words[0]), int(words[1])
            if mark in (b"+", b"&", b"*"):
                found[number] = value, mark
            elif mark == b"=":
                found[number] = value, found[number][1]
            elif mark in (b"-", b"/"):
                found.pop(number, None)
    return found


def records(data: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """The whole records of a file, each as its mark and the words after it; see ``_keeper.py``. Half a record is none:
    who wrote it was killed, or the disk was full."""
    for line in data.split(b"\n"):
        if line.endswith(b";"):
            mark, *words = line[:-1].split(b" ", 3)
            yield mark, words
