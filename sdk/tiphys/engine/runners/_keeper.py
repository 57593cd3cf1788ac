"""The keeper of a run's processes: a small program beside the engine that starts, signals and reaps them.

It exists so that nothing outlives the engine: each process is a session of its own, orphans come back to the keeper
(it is a child subreaper), and when the engine's end of the socket closes, even by SIGKILL, the keeper kills everything
that is left. It also leaves the host program's SIGCHLD alone.

The keeper is two processes. The inner one works; the outer one, its guard, only waits for it: when the inner one was
killed, all that it had started falls to the guard, which kills it. When the guard was killed the inner one sees it and
ends everything. This stands in for a parent-death signal, which a process can only ask for itself, after a fork: a
fork copies the page tables of a Python program, and costs more than twice what ``posix_spawn`` (a vfork) does.

Run as ``python -I -S _keeper.py DESCRIPTOR``. Frames are a 4-byte length and a marshalled tuple:
in  (spawn, id, path, argv, env, cwd, out, err, descriptors) (kill, id, signal) (release, id) (last, argv) (bye,)
out (spawned, id, pid) (exit, id, status, problem)
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

PR_SET_CHILD_SUBREAPER = 36
MARK = b"TIPHYS_PROCESS="
# a program starts with these as the kernel has them; Python ignores two, the keeper the others
DEFAULT_SIGNALS = (
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGTERM,
    signal.SIGTTOU,
    signal.SIGPIPE,
    signal.SIGXFSZ,
)
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class Keeper:
    def __init__(self, sock: socket.socket, guard: int) -> None:
        self.sock = sock
        self.guard = guard
        self.me = os.getpid()
        self.alive: dict[int, int] = {}  # pid -> id
        self.pids: dict[int, int] = {}  # id -> pid
        self.released: set[int] = set()  # sessions that may outlive the run
        self.free: set[int] = set()  # their ids
        self.buffer = bytearray()
        self.descriptors: list[int] = []
        self.answers: list[bytes] = []
        self.last: list[str] = []
        self.offspring = os.open(f"/proc/{self.me}/task/{self.me}/children", os.O_RDONLY | os.O_CLOEXEC)
        self.reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        poll = select.poll()
        for descriptor in (self.sock.fileno(), self.reader, self.guard):
            poll.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self.reader:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.reader, 4096)
                    self.reap()
                elif descriptor == self.guard or not self.receive():
                    return
            if self.answers:
                with contextlib.suppress(OSError):
                    self.sock.sendall(b"".join(self.answers))
                self.answers.clear()

    def receive(self) -> bool:
        try:
            data, descriptors, _, _ = socket.recv_fds(self.sock, 1 << 16, 16, socket.MSG_CMSG_CLOEXEC)
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
            elif frame[0] == "last":
                self.last = frame[1]
            else:
                return False
        return True

    def send(self, *frame: int | str) -> None:
        """Answer at the end of this turn, with everything else there is to tell."""
        data = marshal.dumps(frame)
        self.answers.append(struct.pack("<I", len(data)) + data)

    def spawn(
        self,
        number: int,
        path: str,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        out: str,
        err: str,
        descriptors: int,
    ) -> None:
        passed, self.descriptors = self.descriptors[:descriptors], self.descriptors[descriptors:]
        actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
            (os.POSIX_SPAWN_DUP2, passed[0], 1) if passed else (os.POSIX_SPAWN_OPEN, 1, out, APPEND, 0o644),
            (os.POSIX_SPAWN_OPEN, 2, err, APPEND, 0o644) if err else (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        actions += [
            (os.POSIX_SPAWN_DUP2, descriptor, position) for position, descriptor in enumerate(passed[1:], 3)
        ]
        try:
            os.chdir(cwd)
            pid = os.posix_spawn(
                path,
                argv,
                env,
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=DEFAULT_SIGNALS,
            )
        except Exception as error:  # noqa: BLE001 - no kernel takes a NUL, no encoding half a character
            problem = f"tiphys: cannot start {path}: {getattr(error, 'strerror', None) or error}"
            with contextlib.suppress(OSError):
                log = os.open(err or out, APPEND | os.O_CLOEXEC, 0o644)
                os.write(log, f"{problem}\n".encode(errors="replace"))
                os.close(log)
            self.send("exit", number, (127 if isinstance(error, FileNotFoundError) else 126) << 8, problem)
            return
        finally:
            for descriptor in passed:
                os.close(descriptor)
        self.alive[pid] = number
        self.pids[number] = pid
        self.send("spawned", number, pid)

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
            number = self.alive.pop(pid, None)
            if number is not None:
                # the first process of a container is gone: so is the container
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                exited = True
            status = os.waitpid(pid, 0)[1]
            if number is not None:
                self.pids.pop(number, None)
                self.send("exit", number, status, "")
        if exited:
            self.sweep()

    def sweep(self) -> None:
        """Kill orphans (they are our children now) of processes that have ended."""
        for pid in map(int, os.pread(self.offspring, 1 << 16, 0).split()):
            if pid not in self.alive and not self.helps(pid):
                with contextlib.suppress(OSError, ValueError):
                    if os.getsid(pid) in self.alive or self.mark(pid) in self.pids:
                        continue
                    os.kill(pid, signal.SIGKILL)

    def helps(self, pid: int) -> bool:
        """Whether it is podman's own monitor of a container: those go with the last command."""
        return bool(self.last) and self.name(pid) in ("conmon", "podman", "catatonit")

    def mark(self, pid: int) -> int:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            for entry in stream.read().split(b"\0"):
                if entry.startswith(MARK):
                    return int(entry.rpartition(b"-")[2])
        return -1

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
            for child in children(look.pop()):
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
        """Kill what is left, until nothing is; what was released stays. The last command comes first."""
        if self.last:
            with contextlib.suppress(OSError):
                null = os.open(os.devnull, os.O_RDWR)
                actions = [(os.POSIX_SPAWN_DUP2, null, position) for position in (0, 1, 2)]
                pid = os.posix_spawn(
                    self.last[0], self.last, os.environ, file_actions=actions, setsigdef=DEFAULT_SIGNALS
                )
                os.waitpid(pid, 0)
        self.kill_all()

    def kill_all(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for pid in self.alive:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
            left = bool(self.alive)
            for pid in children(self.me):
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


def children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as stream:
            return [int(word) for word in stream.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def reap_orphans() -> int:
    """Adopt what loses its parent below this process."""
    return int(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def watch(inner: int) -> None:
    """The guard: when the inner process did not end by itself, kill what it leaves behind."""
    if os.waitpid(inner, 0)[1] == 0:
        return
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (left := children(os.getpid())):
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.002)


def main() -> None:
    descriptor = int(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o022)
    reap_orphans()
    # closes when the guard is gone; the guard alone holds the other end
    guard, held = os.pipe2(os.O_CLOEXEC)
    inner = os.fork()
    if inner:
        os.close(descriptor)
        os.close(guard)
        watch(inner)
        return
    os.close(held)
    os.setsid()
    reap_orphans()
    # whoever held a copy would keep the engine from seeing that the keeper is gone
    os.set_inheritable(descriptor, False)
    keeper = Keeper(socket.socket(fileno=descriptor), guard)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        keeper.run()
    finally:
        keeper.end()


if __name__ == "__main__":
    main()
