"""Starting the keeper. Its interpreter takes a good part of a run's start to begin; so it may begin ahead, and be told
later what it keeps, which its engine has yet to make."""

from __future__ import annotations

import contextlib
import marshal
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ["KeeperProcess", "begun_ahead", "start_keeper"]

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_keeper.py")
_waiting: list[KeeperProcess] = []


class KeeperProcess(NamedTuple):
    """A keeper: the engine's end of its socket, and its guard."""

    sock: socket.socket
    guard: subprocess.Popen[bytes]


@contextlib.contextmanager
def begun_ahead() -> Iterator[None]:
    """Within, the first keeper that is started has begun before; one that nobody wanted is ended."""
    begun = _begin()
    _waiting.append(begun)
    try:
        yield
    finally:
        if begun in _waiting:
            _waiting.remove(begun)
            _end(begun)


def start_keeper(token: str, grace: float, descriptors: Mapping[str, int]) -> KeeperProcess:
    """Start a keeper.

    Parameters
    ----------
    token:
        What its processes are marked with.
    grace:
        Seconds that it waits for the next engine.
    descriptors:
        What it keeps, duplicated: ``door``, where the next engine knocks; ``folder``, of the run; ``network``, what
        holds the network of its processes. Each may be missing.
    """
    data = marshal.dumps((token, grace, list(descriptors)))
    told = [struct.pack("<I", len(data)) + data]
    while True:
        ahead = bool(_waiting)
        begun = _waiting.pop() if ahead else _begin()
        try:
            socket.send_fds(begun.sock, told, list(descriptors.values()))
            return begun
        except OSError:
            _end(begun)
            if not ahead:  # one that has begun ahead may have been killed meanwhile
                raise


def _begin() -> KeeperProcess:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with theirs:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", _PROGRAM, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            cwd="/",
        )
    return KeeperProcess(ours, guard)


def _end(begun: KeeperProcess) -> None:
    """End a keeper that has nothing to keep."""
    begun.sock.close()
    begun.guard.kill()
    begun.guard.wait()
