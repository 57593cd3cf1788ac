"""The engine's end of the keeper: start, signal and await processes, and take over those of a killed engine."""

from __future__ import annotations

import contextlib
import marshal
import os
import secrets
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiphys.engine.base.loop import Loop
from tiphys.engine.runners import _keeper
from tiphys.engine.runners._processes import MARK, bury
from tiphys.engine.runners.keeper import start_keeper
from tiphys.engine.runners.left import (
    Earlier,
    Left,
    await_end,
    begin_records,
    dismiss,
    exit_code,
    find,
    heard,
    keeper_grace,
    listen,
)
from tiphys.errors import RunError
from tiphys.store.files import heed_full_disk

__all__ = ["GROUP", "HELPER", "STEP", "Launch", "Process", "Spawner"]

# what becomes of a process when the engine is killed: it is killed, too; and so are all others; it goes on
HELPER, GROUP, STEP = _keeper.HELPER, _keeper.GROUP, _keeper.STEP


@dataclass(slots=True)
class Launch:
    """What to start: ``path`` is the program's file, ``argv`` what it is told it was called with."""

    path: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    out: str  # file that stdout is appended to
    err: str = ""  # file for stderr; empty: with stdout
    keep: int = 0  # bytes of the end of stdout that are kept, too: Process.stdout
    kill: tuple[str, ...] = ()  # a program that ends it, where SIGKILL would not reach what it stands for


class Process:
    """One started process."""

    __slots__ = (
        "code",
        "cpu",
        "kill_command",
        "killed",
        "number",
        "on_exit",
        "peak",
        "pid",
        "problem",
        "signalled",
        "spawner",
        "stdout",
        "watched",
    )

    def __init__(self, spawner: Spawner, number: int, on_exit: Callable[[Process], None]) -> None:
        self.spawner = spawner
        self.number = number
        self.on_exit = on_exit
        self.pid = 0
        self.code: int | None = None  # as a shell tells it: 128 + N after signal N
        self.problem = ""
        self.stdout = b""
        self.watched = 0  # the most bytes that who watches over its limit has seen
        self.peak = 0  # bytes that it had at most, when it has ended; 0: that is not known
        self.cpu = 0.0  # seconds of it and of all that it waited for, when it has ended
        self.signalled = False  # by this process
        self.killed = False  # with SIGKILL
        self.kill_command: tuple[str, ...] = ()

    def signal(self, number: int) -> None:
        """Send a signal to the process and its group; nothing when the keeper and so all of them are gone."""
        self.signalled = True
        self.killed = self.killed or number == signal.SIGKILL
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
            self.spawner.spawn(launch, lambda done: self.kill() if done.code else None, bond=HELPER)

    def release(self) -> None:
        """Let it outlive the run."""
        if self.code is None:
            with contextlib.suppress(RunError):
                self.spawner._send("release", self.number)
            self.spawner._processes.pop(self.number, None)


class Spawner:
    """Owns the keeper, which is started with the first process.

    ``home``: the run's folder, where the keeper writes down what ended, and waits when this process was killed.
    ``network``: a descriptor of what holds the network of the processes, which the keeper then holds, too, or -1.
    """

    def __init__(self, loop: Loop, home: Path | None = None) -> None:
        self._loop = loop
        self._home = home
        self._number = 0
        self._processes: dict[int, Process] = {}
        self._token = secrets.token_hex(8)
        self._buffer = bytearray()
        self._socket: socket.socket | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self._keepers: Sequence[int] = ()
        self._last: Sequence[str] = ()
        self._left: Left | None = None
        self.network = -1

    def at_end(self, command: Sequence[str]) -> None:
        """A command that the keeper runs when all is over, also when this process was killed."""
        self._last = command

    def take_over(self, joins: Callable[[int], bool]) -> Left:
        """What an earlier engine left in this run's folder: the processes that its keeper still has are now this
        one's, and those that it no longer has and that had not ended are lost.

        ``joins``: told the descriptor of what holds the network that the processes are in, now its own, or -1 for this
        machine's; whether this engine can go on in it. If not, all that lives is ended, and what has ended stays.
        """
        assert self._home is not None and self._socket is None
        alive: list[int] = []
        found = find(self._home)
        if found is not None and not joins(found.network):
            dismiss(found.sock)
            found = None
        if found is not None:
            self._socket, self._keepers, alive, _ = found
        self._left = Left(self._home, alive)
        if found is None and self._left.lost:  # keeper and guard were killed, one after the other
            bury(self._left.token)
        self._number = self._left.highest
        if self._socket is not None:
            self._token = self._left.token
            self._loop.watch(self._socket, self._receive)
        return self._left

    def spawn(
        self, launch: Launch, on_exit: Callable[[Process], None], *, bond: int = GROUP, note: str = ""
    ) -> Process:
        """Start a process; ``on_exit`` is called in the loop when it has ended. With a ``note`` (JSON) both are written
        down in the run's folder.

        When the keeper has been killed, and that has not been seen yet, nothing starts: the loop is about to say so
        (TIP301), of the run and not of what should have started.
        """
        self._number += 1
        process = Process(self, self._number, on_exit)
        process.kill_command = launch.kill
        self._processes[process.number] = process
        env = dict(launch.env)
        env[MARK] = f"{self._token}-{process.number}"
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
                launch.keep,
                bond,
                note if self._home is not None else "",
            )
        return process

    def adopt(self, earlier: Earlier, on_exit: Callable[[Process], None]) -> Process:
        """As :meth:`spawn`, of a process that an earlier engine started: ``on_exit`` is called also when it has ended
        long ago."""
        process = Process(self, earlier.number, on_exit)
        process.pid = earlier.pid
        self._processes[process.number] = process
        if not earlier.alive:
            status = earlier.status or 0
            self._loop.call_soon(lambda: self._ended(earlier.number, status, earlier.stdout))
        return process

    def kill(self, numbers: Iterable[int]) -> None:
        """SIGKILL what an earlier engine had started and nobody wants."""
        for number in numbers:
            self._send("kill", number, int(signal.SIGKILL))

    @property
    def keepers(self) -> Sequence[int]:
        """PIDs: while one of these lives, any process that this one has started, and was not released, may live."""
        sock = self._socket or self._start()
        if not self._keepers:  # it has just been started, and this is the first that it tells
            try:
                _, self._keepers = heard(sock)
            except (OSError, EOFError) as error:
                raise _lost() from error
        return self._keepers

    @property
    def running(self) -> int:
        return len(self._processes)

    def close(self) -> None:
        """Kill everything that was not released and end the keeper."""
        if self._socket is None:
            return
        with contextlib.suppress(OSError, RunError):
            self._send("bye")
        self._loop.unwatch(self._socket)
        await_end(self._socket)
        self._await_keeper()
        self._socket.close()
        self._socket = None
        self._processes.clear()

    # -- inside -----------------------------------------------------------------------------------------------

    def _start(self) -> socket.socket:
        with contextlib.ExitStack() as stack:
            kept = {"network": self.network} if self.network >= 0 else {}
            if self._home is not None:
                if (listener := listen(self._home)) is not None:
                    kept["door"] = stack.enter_context(listener).fileno()
                kept["folder"] = os.open(self._home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, kept["folder"])
                begin_records(self._home, self._token)
            ours, self._keeper = start_keeper(self._token, keeper_grace(), kept)
        self._socket = ours
        self._loop.watch(ours, self._receive)
        if self._last:
            self._send("last", list(self._last))
        return ours

    def _await_keeper(self) -> None:
        if self._keeper is not None:
            try:
                self._keeper.wait(15)
            except subprocess.TimeoutExpired:
                self._keeper.kill()
                self._keeper.wait()

    def _send(self, *frame: str | int | list[str] | dict[str, str] | None) -> None:
        sock = self._socket or self._start()
        data = marshal.dumps(frame)
        try:
            sock.sendall(struct.pack("<I", len(data)) + data)
        except OSError as error:
            raise _lost() from error

    def _receive(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(1 << 16)
        except ConnectionError:  # it was killed before it had read everything
            data = b""
        if not data:
            self._lose()
            return
        self._heard(data)

    def _lose(self) -> None:
        """The keeper is gone: go on with the one that has taken its place or, when nothing runs any more, with another.
        Raises RunError TIP301 when a process is lost."""
        assert self._socket is not None
        self._loop.unwatch(self._socket)
        self._socket.close()
        self._socket, self._keepers = None, ()
        self._buffer.clear()
        found, known = None, {}
        if self._home is not None:
            found = find(self._home)
            known = Left(self._home, found.numbers if found else ()).known
        if found is None:
            bury(self._token)
            self._await_keeper()
        elif found.network >= 0:
            os.close(found.network)
        if not known.keys() >= self._processes.keys():
            if found is not None:
                found.sock.close()
                if self._keeper is not None:
                    self._keeper.returncode = 0  # it is the next engine's
            raise _lost()
        if found is not None:
            self._socket, self._keepers = found.sock, found.keepers
            self._loop.watch(self._socket, self._receive)
        for number, process in list(self._processes.items()):
            earlier = known[number]
            if not earlier.alive:
                self._ended(number, earlier.status or 0, earlier.stdout)
            elif process.killed:  # it may not have been heard
                process.signal(signal.SIGKILL)

    def _heard(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 4:
            (size,) = struct.unpack_from("<I", self._buffer)
            if len(self._buffer) < 4 + size:
                return
            frame = marshal.loads(bytes(self._buffer[4 : 4 + size]))
            del self._buffer[: 4 + size]
            if frame[0] == "exit":
                self._ended(*frame[1:])
            elif frame[0] == "keepers":
                self._keepers = frame[1]
            elif (process := self._processes.get(frame[1])) is not None:
                process.pid = frame[2]

    def _ended(
        self,
        number: int,
        status: int,
        stdout: bytes,
        problem: str = "",
        why: int = 0,
        used: tuple[int, float] = (0, 0.0),
    ) -> None:
        process = self._processes.pop(number, None)
        if process is not None:
            process.code = exit_code(status)
            process.problem = problem
            process.stdout = stdout
            process.peak, process.cpu = used
            if why:
                heed_full_disk(OSError(why, problem))  # of its log: not its failure
            process.on_exit(process)
        elif self._left is not None:
            self._left.ended(number, status, stdout)


def _lost() -> RunError:
    return RunError(
        "TIP301",
        "the process that keeps the run's children was killed",
        cause="some of what ran is lost with it",
        fix="run the same command again with resume: finished steps are not repeated",
    )
