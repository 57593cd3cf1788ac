"""The engine's end of the keeper: start, signal and await processes."""

from __future__ import annotations

import contextlib
import errno
import itertools
import marshal
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiphys.engine.base.loop import Loop
from tiphys.errors import RunError

__all__ = ["Launch", "Process", "Spawner"]

_MARK = "TIPHYS_PROCESS"  # in every process's environment: whose it is
_KEEPER = Path(__file__).with_name("_keeper.py")


@dataclass(slots=True)
class Launch:
    """What to start: ``path`` is the program's file, ``argv`` what it is told it was called with."""

    path: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    out: str  # file that stdout is appended to
    err: str = ""  # file for stderr; empty: with stdout
    descriptors: tuple[int, ...] = ()  # the first replaces stdout, the others become 3, 4, ...
    kill: tuple[str, ...] = ()  # a program that ends it, where SIGKILL would not reach what it stands for


class Process:
    """One started process."""

    __slots__ = ("code", "kill_command", "number", "on_exit", "pid", "problem", "signalled", "spawner")

    def __init__(self, spawner: Spawner, number: int, on_exit: Callable[[Process], None]) -> None:
        self.spawner = spawner
        self.number = number
        self.on_exit = on_exit
        self.pid = 0
        self.code: int | None = None  # as a shell tells it: 128 + N after signal N
        self.problem = ""
        self.signalled = False  # by this process
        self.kill_command: tuple[str, ...] = ()

    def signal(self, number: int) -> None:
        """Send a signal to the process and its group; nothing when the keeper and so all of them are gone."""
        self.signalled = True
        if self.code is None:
            with contextlib.suppress(RunError):
                self.spawner._send("kill", self.number, int(number))

    def kill(self) -> None:
        """SIGKILL; a container is killed through its program first."""
        command, self.kill_command = self.kill_command, ()
        if not command or self.code is not None:
            self.signal(signal.SIGKILL)
            return
        self.signalled = True
        launch = Launch(command[0], command, dict(os.environ), "/", os.devnull)
        with contextlib.suppress(RunError):
            self.spawner.spawn(launch, lambda done: self.kill() if done.code else None)

    def release(self) -> None:
        """Let it outlive the run."""
        if self.code is None:
            with contextlib.suppress(RunError):
                self.spawner._send("release", self.number)
            self.spawner._processes.pop(self.number, None)


class Spawner:
    """Owns the keeper, which is started with the first process."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._numbers = itertools.count(1)
        self._processes: dict[int, Process] = {}
        self._token = secrets.token_hex(8)
        self._buffer = bytearray()
        self._socket: socket.socket | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self._last: Sequence[str] = ()

    def at_end(self, command: Sequence[str]) -> None:
        """A command that the keeper runs when all is over, also when this process was killed."""
        self._last = command

    def spawn(self, launch: Launch, on_exit: Callable[[Process], None]) -> Process:
        """Start a process; ``on_exit`` is called in the loop when it has ended.

        When the keeper has been killed, and that has not been seen yet, nothing starts: the loop is about to say so
        (TIP301), of the run and not of what should have started.
        """
        process = Process(self, next(self._numbers), on_exit)
        process.kill_command = launch.kill
        self._processes[process.number] = process
        env = dict(launch.env)
        env[_MARK] = f"{self._token}-{process.number}"
        with contextlib.suppress(RunError):
            self._send(
                "spawn",
                process.number,
                launch.path,
                list(launch.argv),
                env,
                launch.cwd,
                launch.out,
                launch.err,
                len(launch.descriptors),
                descriptors=launch.descriptors,
            )
        return process

    @property
    def running(self) -> int:
        return len(self._processes)

    def close(self) -> None:
        """Kill everything that was not released and end the keeper."""
        if self._keeper is None or self._socket is None:
            return
        with contextlib.suppress(OSError, RunError):
            self._send("bye")
        self._loop.unwatch(self._socket)
        try:
            self._keeper.wait(15)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        self._socket.close()
        self._socket = None
        self._processes.clear()

    # -- inside -----------------------------------------------------------------------------------------------

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_KEEPER), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", os.defpath)},
                cwd="/",
            )
        self._socket = ours
        self._loop.watch(ours, self._receive)
        if self._last:
            self._send("last", list(self._last))
        return ours

    def _send(
        self, *frame: str | int | list[str] | dict[str, str] | None, descriptors: Sequence[int] = ()
    ) -> None:
        sock = self._socket or self._start()
        data = marshal.dumps(frame)
        data = struct.pack("<I", len(data)) + data
        try:
            if descriptors:
                sent = socket.send_fds(sock, [data], list(descriptors))
                data = data[sent:]
            if data:
                sock.sendall(data)
        except OSError as error:
            raise _lost() from error

    def _bury(self) -> None:
        """The keeper is gone, and with it the processes it had started; kill what those had started."""
        mark = f"{_MARK}={self._token}-".encode()
        for _ in range(10):
            found = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and mark in _environment(pid)]
            if not found:
                return
            for pid in found:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def _receive(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(1 << 16)
        except ConnectionError:  # it was killed before it had read everything
            data = b""
        if not data:
            self._loop.unwatch(self._socket)
            self._bury()
            raise _lost()
        self._buffer += data
        while len(self._buffer) >= 4:
            (size,) = struct.unpack_from("<I", self._buffer)
            if len(self._buffer) < 4 + size:
                return
            frame = marshal.loads(bytes(self._buffer[4 : 4 + size]))
            del self._buffer[: 4 + size]
            if frame[0] == "spawned":
                process = self._processes.get(frame[1])
                if process is not None:
                    process.pid = frame[2]
            else:
                process = self._processes.pop(frame[1], None)
                if process is not None:
                    process.code = _exit_code(frame[2])
                    process.problem = frame[3]
                    if process.problem.endswith(os.strerror(errno.ENOSPC)):  # of its log: not its failure
                        raise OSError(errno.ENOSPC, process.problem)
                    process.on_exit(process)


def _environment(pid: str) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            return stream.read()
    except OSError:
        return b""


def _exit_code(status: int) -> int:
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _lost() -> RunError:
    return RunError(
        "TIP301",
        "the process that keeps the run's children was killed",
        cause="its children have been killed with it",
        fix="run the same command again with resume: finished steps are not repeated",
    )
