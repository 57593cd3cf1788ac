"""Engines that begin at once: a process that has imported the engine, and forks one whenever it is asked.

An engine is a session of its own, as one that is started anew: it outlives the process it was forked from, and whoever
asked for it.
The process has one thread, no file but the socket it is asked by, and the environment of whoever began it. Once a file
that it imported is another, it ends: what is forked is never older than the code on the disk.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

__all__ = ["EngineForks", "answer"]

_IMPORTED = (
    "tiphys.cli.execute", "tiphys.cli.summary", "tiphys.cli.causes", "tiphys.cli.times", "tiphys.cli.progress",
    "tiphys.compiler.source", "tiphys.engine.runtime", "tiphys.runs.given_secrets", "tiphys.runs.start",
)  # fmt: skip
_PATIENCE = 5.0  # seconds for an answer
_PERIOD = (
    1.0  # seconds between two looks at engines that have ended; also between two beginnings of the process
)
_MOST = 1 << 20  # bytes of a request


class EngineForks:
    """The asking side. While the process is not ready, or where it cannot be, there are no forks: start one anew."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._ready = False
        self._environment: dict[str, str] = {}
        self._began = 0.0
        self._over = False

    def begin(self) -> None:
        """Begin the process, which imports for a moment."""
        with self._guard:
            self._begin()

    def close(self) -> None:
        """End the process; what it has forked goes on."""
        with self._guard:
            self._over = True
            self._end()

    def start(self, words: Sequence[str], log: int) -> int | None:
        """Fork ``python -m tiphys WORDS``, which writes to the descriptor ``log``: its process, None for no fork."""
        with self._guard:
            if not self._usable():
                return None
            asked = {"words": list(words), "folder": os.getcwd()}
            told = self._ask(asked, [log])
            if told is None or "process" not in told:
                self._end()
                self._begin()
                return None
            return told["process"]

    def ended(self, process: int) -> int | None:
        """The exit code of an engine; None while it runs."""
        with self._guard:
            told = self._ask({"ended": process}, []) if self._socket is not None else None
        if told is not None:
            return told.get("code")
        try:  # nobody knows its code
            os.kill(process, 0)
        except ProcessLookupError:
            return 1
        return None

    def _begin(self) -> None:
        now = time.monotonic()
        if self._over or sys.platform != "linux" or now - self._began < _PERIOD:
            return
        self._began = now
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            program = f"from {__name__} import answer; answer({theirs.fileno()})"
            self._environment = dict(os.environ)
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        ours.settimeout(_PATIENCE)
        self._socket, self._ready = ours, False

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()  # it holds nothing, and its engines are no part of it
            self._process.wait()
            self._process = None

    def _usable(self) -> bool:
        if self._socket is None or self._environment != dict(os.environ):
            return False
        if not self._ready and select.select([self._socket], [], [], 0)[0]:
            with contextlib.suppress(OSError):
                self._ready = self._socket.recv(_MOST) == b"ready"
            if not self._ready:
                self._end()
        return self._ready

    def _ask(self, asked: Mapping[str, object], descriptors: list[int]) -> dict[str, int] | None:
        assert self._socket is not None
        try:
            socket.send_fds(self._socket, [json.dumps(asked).encode()], descriptors)
            answered = self._socket.recv(_MOST)
        except OSError:
            return None
        found: dict[str, int] | None = json.loads(answered) if answered else None
        return found


def answer(descriptor: int) -> None:
    """The process: fork when asked through the socket, until whoever asks is gone."""
    began = time.time_ns()
    for name in _IMPORTED:
        importlib.import_module(name)
    importlib.import_module("tiphys.cli").parser()  # which imports all commands
    files = _files()
    late = any(stamp is None or stamp[0] >= began for stamp in files.values())
    if late or len(os.listdir("/proc/self/task")) != 1:
        return  # changed while it was read; threads do not live through a fork
    gc.freeze()
    with socket.socket(fileno=descriptor) as asking:
        words = _forked(asking, files)
    if words is not None:
        sys.argv[1:] = words
        gc.unfreeze()
        runpy.run_module("tiphys", run_name="__main__", alter_sys=True)


def _forked(asking: socket.socket, files: dict[str, tuple[int, int] | None]) -> list[str] | None:
    """The words of an engine, in its process; None in the end."""
    codes: dict[int, int] = {}
    asking.send(b"ready")
    while True:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                codes[found[0]] = os.waitstatus_to_exitcode(found[1])
        if not select.select([asking], [], [], _PERIOD)[0]:
            continue
        data, descriptors, _, _ = socket.recv_fds(asking, _MOST, 1)
        if not data:
            return None
        asked = json.loads(data)
        if "ended" in asked:
            code = codes.get(asked["ended"])
            asking.send(json.dumps({} if code is None else {"code": code}).encode())
            continue
        if _files() != files:
            return None
        process = os.fork()
        if process == 0:
            os.setsid()
            os.chdir(asked["folder"])
            for to in (1, 2):
                os.dup2(descriptors[0], to)
            os.close(descriptors[0])
            words: list[str] = asked["words"]
            return words
        os.close(descriptors[0])
        asking.send(json.dumps({"process": process}).encode())


def _files() -> dict[str, tuple[int, int] | None]:
    """The files that modules were imported from, as they are now."""
    found: dict[str, tuple[int, int] | None] = {}
    for module in list(sys.modules.values()):
        if path := getattr(module, "__file__", None):
            try:
                state = os.stat(path)
                found[path] = (state.st_mtime_ns, state.st_size)
            except OSError:
                found[path] = None
    return found
