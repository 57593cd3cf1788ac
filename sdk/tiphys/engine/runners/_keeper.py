"""The keeper of a run's processes: a small program beside the engine that starts, signals and reaps them.

It exists so that nothing outlives the engine: each process is a session of its own with a parent-death signal,
orphans come back to the keeper (it is a child subreaper), and when the engine's end of the socket closes, even by
SIGKILL, the keeper kills everything that is left. It also keeps forks cheap (its memory is small) and leaves the
host program's SIGCHLD alone.

Run as ``python -I -S _keeper.py DESCRIPTOR``. Frames are a 4-byte length and a marshalled tuple:
in  (spawn, id, path, argv, env, cwd, out, err, kept, descriptors) (kill, id, signal) (release, id) (bye,)
out (spawned, id, pid) (exit, id, status)
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import marshal
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
MARK = b"TIPHYS_PROCESS="


class Keeper:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.prctl = ctypes.CDLL(None, use_errno=True).prctl
        self.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.me = os.getpid()
        self.alive: dict[int, tuple[int, bool]] = {}  # pid -> (id, kept)
        self.pids: dict[int, int] = {}  # id -> pid
        self.released: set[int] = set()  # sessions that may outlive the run
        self.free: set[int] = set()  # their ids
        self.buffer = bytearray()
        self.descriptors: list[int] = []
        self.null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self.reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTTOU):
            signal.signal(number, signal.SIG_IGN)

    def run(self) -> None:
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        poll.register(self.reader, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self.reader:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.reader, 4096)
                    self.reap()
                elif not self.receive():
                    return

    def receive(self) -> bool:
        try:
            data, descriptors, _, _ = socket.recv_fds(self.sock, 1 << 16, 16)
        except ConnectionError:  # the engine was killed before it had read everything
            return False
        self.descriptors += descriptors
        if not data:
            return False
        self.buffer += data
        while len(self.buffer) >= 4:
            (size,) = struct.unpack_from("<I", self.buffer)
            if len(self.buffer) < 4 + size:
                break
            frame = marshal.loads(memoryview(self.buffer)[4 : 4 + size])
            del self.buffer[: 4 + size]
            if frame[0] == "spawn":
                self.spawn(*frame[1:])
            elif frame[0] == "kill":
                self.kill(frame[1], frame[2])
            elif frame[0] == "release":
                pid = self.pids.pop(frame[1], None)
                if pid is not None:
                    self.alive.pop(pid, None)
                    self.released.add(pid)
                    self.free.add(frame[1])
            else:
                return False
        return True

    def send(self, *frame: Any) -> None:
        data = marshal.dumps(frame)
        with contextlib.suppress(OSError):
            self.sock.sendall(struct.pack("<I", len(data)) + data)

    def spawn(
        self,
        number: int,
        path: str,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        out: str,
        err: str,
        kept: bool,
        descriptors: int,
    ) -> None:
        passed, self.descriptors = self.descriptors[:descriptors], self.descriptors[descriptors:]
        try:
            pid = os.fork()
        except OSError as error:
            self.send("exit", number, 126 << 8, f"cannot fork: {error.strerror}")
            return
        if pid == 0:
            self.become(path, argv, env, cwd, out, err, kept, passed)
        for descriptor in passed:
            os.close(descriptor)
        self.alive[pid] = (number, kept)
        self.pids[number] = pid
        self.send("spawned", number, pid)

    def become(
        self,
        path: str,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        out: str,
        err: str,
        kept: bool,
        passed: list[int],
    ) -> None:
        """In the child: never returns."""
        code = 126
        try:
            os.setsid()
            if not kept:
                self.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                if os.getppid() != self.me:
                    os._exit(137)
            signal.set_wakeup_fd(-1)
            for number in (2, 1, 15, 13, 17, 22, 25):  # INT HUP TERM PIPE CHLD TTOU XFSZ
                signal.signal(number, signal.SIG_DFL)
            os.dup2(self.null, 0)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            os.dup2(passed[0] if passed else os.open(out, flags, 0o644), 1)
            os.dup2(os.open(err, flags, 0o644) if err else 1, 2)
            for position, descriptor in enumerate(passed[1:], 3):
                os.dup2(descriptor, position, inheritable=True)
            os.chdir(cwd)
            os.umask(0o022)
            os.execve(path, argv, env)
        except FileNotFoundError as error:
            code = 127
            os.write(2, f"tiphys: cannot start {path}: {error.strerror}\n".encode())
        except OSError as error:
            os.write(2, f"tiphys: cannot start {path}: {error.strerror}\n".encode())
        finally:
            os._exit(code)

    def reap(self) -> None:
        exited = False
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if info is None:
                break
            pid = info.si_pid
            known = self.alive.pop(pid, None)
            if known is not None:
                # the first process of a container is gone: so is the container
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                exited = True
            status = os.waitpid(pid, 0)[1]
            if known is not None:
                self.pids.pop(known[0], None)
                self.send("exit", known[0], status, "")
        if exited:
            self.sweep()

    def sweep(self) -> None:
        """Kill orphans (they are our children now) of processes that have ended."""
        for pid in self.children(self.me):
            if pid not in self.alive:
                with contextlib.suppress(OSError, ValueError):
                    if os.getsid(pid) in self.alive or self.mark(pid) in self.pids:
                        continue
                    os.kill(pid, signal.SIGKILL)

    def mark(self, pid: int) -> int:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            for entry in stream.read().split(b"\0"):
                if entry.startswith(MARK):
                    return int(entry.rpartition(b"-")[2])
        return -1

    def children(self, pid: int) -> list[int]:
        try:
            with open(f"/proc/{pid}/task/{pid}/children", "rb") as stream:
                return [int(word) for word in stream.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    def kill(self, number: int, what: int) -> None:
        pid = self.pids.get(number)
        if pid is None:
            return
        inner = self.inside(pid) if what != signal.SIGKILL else []
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if inner:
                # a sandbox's monitor would die at once and take the rest with it: reach through
                for each in inner:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(each, what)
            else:
                os.killpg(pid, what)

    def inside(self, pid: int) -> list[int]:
        """The processes in the sandbox whose monitor is ``pid``; empty when it is no sandbox."""
        if self.name(pid) != "bwrap":
            return []
        found, look = [], [pid]
        while look:
            for child in self.children(look.pop()):
                look.append(child)
                if self.name(child) != "bwrap":
                    found.append(child)
        return found

    def name(self, pid: int) -> str:
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
                return stream.read().strip()
        except OSError:
            return ""

    def end(self) -> None:
        """Kill what is left, until nothing is; what was released stays."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for pid in self.alive:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
            left = bool(self.alive)
            for pid in self.children(self.me):
                with contextlib.suppress(OSError, ValueError):
                    if pid in self.released or os.getsid(pid) in self.released or self.mark(pid) in self.free:
                        continue
                    left = True
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while pid := os.waitpid(-1, os.WNOHANG)[0]:
                    self.alive.pop(pid, None)
            if not left:
                return
            time.sleep(0.002)


def main() -> None:
    descriptor = int(sys.argv[1])
    # whoever held a copy would keep the engine from seeing that the keeper is gone
    os.set_inheritable(descriptor, False)
    keeper = Keeper(socket.socket(fileno=descriptor))
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        keeper.run()
    finally:
        keeper.end()


if __name__ == "__main__":
    main()
