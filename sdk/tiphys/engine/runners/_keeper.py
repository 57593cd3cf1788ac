"""The keeper of a run's processes: a small program beside the engine that starts, signals and reaps them.

Each process is a session of its own, and orphans come back to the keeper (it is a child subreaper), so nothing gets
lost. It also leaves the host program's SIGCHLD alone.

What belongs to a step it writes down before it tells the engine (``processes`` in the run's folder): what has ended
has ended, whoever is killed then. When the engine's end of the socket closes without a word, the engine was killed: the
steps go on, and for a grace time the keeper waits at a socket in the run's folder for the next engine, which takes them
over. Then, and when it is told to, it kills everything that is left.

The keeper is two processes, so that one may be killed. The inner one works; the outer one, its guard, only waits for
it: when the inner one was killed, all that it had started falls to the guard, which is the keeper from then on. What
belongs to steps it finds in the records and goes on with, as if the engine had been killed; it waits for the next one,
which may be the same. The rest it kills. When the guard was killed the inner one sees it, and goes on. One that is left
alone in either way has a watchman below it, who kills what is left when it is killed as well. This stands in for a
parent-death signal, which a process can only ask for itself, after a fork: a fork copies the page tables of a Python
program, and costs more than twice what ``posix_spawn`` (a vfork) does.

Run as ``python -I -S _keeper.py DESCRIPTOR``, of the socket to the engine. The first that it is told is what it keeps:
what its processes are marked with, for how long it waits, and which descriptors come with that: ``door``, where the
next engine knocks, ``folder``, the run's, and ``network``, what holds the network of its processes, which is kept for
the next engine. Guard and keeper both hold the door: as long as one of them is there, who knocks is not sent away. Who
is welcomed is sent a byte, with the network if there is one. Frames are a 4-byte length and a marshalled tuple:
in  (token, grace, names of descriptors)
    (spawn, id, path, argv, env, cwd, out, err, keep, bond, note) (kill, id, signal) (release, id) (last, argv) (adopt,)
    (bye,)
out (keepers, pids) (spawned, id, pid) (exit, id, status, end of stdout, problem, its errno, used) (alive, ids)
``used``: as _processes.used.
``keepers``, the first that an engine hears, are guard and keeper: as long as one of them lives, a step may.

Records are lines, each in one ``write``: ``+ ID 0 NOTE;`` when a process is about to start (``&`` for ``+`` where the
end of stdout is kept, ``*`` for what is no step, and has no note), ``= ID PID;`` when it has started or ``/ ID 0;``
when it could not, and ``- ID STATUS STDOUT;``, STDOUT in base 64.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import select
import signal
import socket
import struct
import sys
import time
from binascii import b2a_base64 as b64

if __name__ != "__main__":
    from tiphys.engine.runners import _processes as processes
    from tiphys.engine.runners._stdout import APPEND, CHUNK, Deposit, Stdout
else:  # nothing of tiphys is on this program's path
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _processes as processes  # type: ignore[import-not-found,no-redef]
    from _stdout import APPEND, CHUNK, Deposit, Stdout  # type: ignore[import-not-found,no-redef]

    del sys.path[0]

# a program starts with these as the kernel has them; Python ignores two, the keeper the others
DEFAULT_SIGNALS = (
    *(signal.SIGINT, signal.SIGHUP, signal.SIGTERM),
    *(signal.SIGTTOU, signal.SIGPIPE, signal.SIGXFSZ),
)
HELPER, GROUP, STEP = 0, 1, 2  # of a killed engine's: killed at once; ends all others with it; goes on


class Keeper:
    def __init__(
        self,
        sock: socket.socket | None,
        guard: int,
        deposit: Deposit,
        folder: int,
        listener: socket.socket | None,
        network: int,
        grace: float,
        token: str,
    ) -> None:
        self.sock = sock
        self.guard, self.folder, self.listener, self.grace = guard, folder, listener, grace
        self.network, self.token = network, token
        self.until = 0.0  # when it waits no more for another engine
        self.me = os.getpid()
        self.watchman = 0
        self.alive: dict[int, int] = {}  # pid -> id
        self.pids: dict[int, int] = {}  # id -> pid
        self.bonds: dict[int, int] = {}  # id -> HELPER, GROUP or STEP
        self.released: set[int] = set()  # sessions that may outlive the run
        self.free: set[int] = set()  # their ids
        self.deposit = deposit  # of what is kept
        self.kept: dict[int, Stdout] = {}  # id -> its stdout
        self.pipes: dict[int, Stdout] = {}  # the same by descriptor, while they are read
        self.buffer = bytearray()
        self.answers = bytearray()
        self.book, self.torn = -1, True  # the file may end in half a record
        self.last: list[str] = []
        self.offspring = os.open(f"/proc/{self.me}/task/{self.me}/children", os.O_RDONLY | os.O_CLOEXEC)
        self.reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.poll = select.poll()
        self.poll.register(self.reader, select.POLLIN)
        if sock is not None:
            self.poll.register(sock, select.POLLIN)
        if guard >= 0:
            self.poll.register(guard, select.POLLIN)

    def run(self) -> None:
        while True:
            for descriptor, event in self.poll.poll(None if self.sock else self.patience()):
                if descriptor == self.reader:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.reader, 4096)
                    self.reap()
                elif descriptor == self.guard:
                    self.alone()
                elif descriptor in self.pipes:
                    if not self.pipes[descriptor].read():
                        self.unread(descriptor)
                elif self.sock is None:
                    if self.listener and descriptor == self.listener.fileno():
                        self.welcome()
                elif descriptor == self.sock.fileno() and event & ~select.POLLOUT and not self.receive():
                    return
            self.tell()
            if self.sock is None and not self.patience():
                return

    def receive(self) -> bool:
        assert self.sock is not None
        try:
            data = self.sock.recv(CHUNK)
        except ConnectionError:  # the engine was killed before it had read everything
            data = b""
        if not data:
            return self.orphaned()
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
            elif frame[0] == "adopt":
                self.introduce()
                self.send("alive", list(self.pids))
            else:
                return False
        return True

    def orphaned(self) -> bool:
        """The engine was killed: whether there is something that may wait for the next one."""
        assert self.sock is not None
        self.poll.unregister(self.sock)
        self.sock.close()
        self.sock = None
        self.buffer.clear()
        self.answers.clear()
        bonds = {self.bonds[number] for number in self.pids}
        if GROUP in bonds or STEP not in bonds:
            return False
        for number in self.pids:
            if self.bonds[number] == HELPER:
                self.kill(number, signal.SIGKILL)
        processes.hush()
        return self.wait()

    def wait(self) -> bool:
        """Wait for the next engine, where it can come."""
        if self.listener is None or not self.grace:
            return False
        self.until = time.monotonic() + self.grace
        self.poll.register(self.listener, select.POLLIN)
        return True

    def alone(self) -> None:
        """The guard was killed: go on without one."""
        self.poll.unregister(self.guard)
        self.guard = -1
        self.watchman = processes.watchman(self.token)
        if self.sock is not None:
            self.introduce()

    def inherit(self) -> None:
        """In the guard: wait for the next engine with the steps of a killed keeper."""
        if self.folder < 0:
            return
        mine = set(processes.children(self.me))
        steps = processes.unfinished(self.folder)
        for number, stdout in self.deposit.take(steps).items():
            self.keep(number, stdout)
        for number, (pid, mark) in steps.items():
            pid = pid or self.just_started(number, mine.difference(pid for pid, _ in steps.values()))
            if not pid:
                self.write(b"/ %d 0;\n" % number)
            elif pid in mine and (mark != b"&" or number in self.kept):
                self.alive[pid], self.pids[number] = number, pid
                self.bonds[number] = GROUP if mark == b"*" else STEP
        self.sweep()
        self.reap()
        if GROUP not in self.bonds.values():
            self.watchman = processes.watchman(self.token)
            self.wait()

    def just_started(self, number: int, among: set[int]) -> int:
        """The PID of the one whose keeper was killed before it was written down; 0: there is none yet. One that has
        ended has its session, and no mark any more."""
        for pid in among:
            with contextlib.suppress(OSError, ValueError):
                if os.getsid(pid) == pid and processes.mark(pid) in (number, None):
                    return pid
        return 0

    def patience(self) -> int:
        """Milliseconds that it still waits; none when nothing of a step runs any more."""
        stays = any(self.bonds[number] == STEP for number in self.pids)
        return max(0, int(1000 * (self.until - time.monotonic()))) if stays else 0

    def welcome(self) -> None:
        """The next engine, or somebody who wants an end of it all."""
        assert self.listener is not None
        sock = self.listener.accept()[0]
        (uid,) = struct.unpack("4xI4x", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.getuid():
            sock.close()
            return
        with contextlib.suppress(OSError):
            socket.send_fds(sock, [b"+"], [self.network] if self.network >= 0 else [])
        self.sock = sock
        self.poll.unregister(self.listener)
        self.poll.register(sock, select.POLLIN)

    def introduce(self) -> None:
        """Tell the engine who has its processes."""
        self.send("keepers", [self.me] if self.guard < 0 else [os.getppid(), self.me])

    def send(self, *frame: int | str | bytes | list[int] | tuple[int, float]) -> None:
        """Answer at the end of this turn, with everything else there is to tell."""
        data = marshal.dumps(frame)
        self.answers += struct.pack("<I", len(data)) + data

    def tell(self) -> None:
        """Tell what happened. An engine that does not read is not waited for."""
        if self.sock is None or not self.answers:
            self.answers.clear()
            return
        try:
            del self.answers[: self.sock.send(self.answers, socket.MSG_DONTWAIT)]
        except BlockingIOError:
            pass
        except OSError:
            self.answers.clear()
        self.poll.modify(self.sock, select.POLLIN | select.POLLOUT if self.answers else select.POLLIN)

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # a full disk is the engine's to tell
            if self.book < 0:
                # the engine has made it; where it is gone the run has ended
                flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
                self.book = os.open(processes.RECORDS, flags, dir_fd=self.folder)
            if self.torn:
                data = b"\n" + data
            self.torn = True
            self.torn = os.write(self.book, data) < len(data)

    def spawn(
        self,
        number: int,
        path: str,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        out: str,
        err: str,
        keep: int,
        bond: int,
        note: str,
    ) -> None:
        stdout, pipe = None, out
        err = err or (out if keep else "")
        if written := self.folder >= 0 and bond != HELPER:
            # before it starts: it may have begun before this process goes on
            mark = "*" if bond == GROUP else "&" if keep else "+"
            self.write(f"{mark} {number} 0 {note};\n".encode(errors="surrogatepass"))
        try:
            if keep:
                stdout, writer = Stdout.opened(out, keep)
                pipe = f"/proc/self/fd/{writer}"
                self.deposit.put(number, stdout)
            actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
                (os.POSIX_SPAWN_OPEN, 1, pipe, os.O_RDWR if keep else APPEND, 0o644),
                (os.POSIX_SPAWN_OPEN, 2, err, APPEND, 0o644) if err else (os.POSIX_SPAWN_DUP2, 1, 2),
            ]
            os.chdir(cwd)
            signals = DEFAULT_SIGNALS
            pid = os.posix_spawn(
                path, argv, env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=signals
            )
        except Exception as error:  # noqa: BLE001 - no kernel takes a NUL, no encoding half a character
            if stdout is not None:
                stdout.close()
                os.close(writer)
            problem = f"tiphys: cannot start {path}: {getattr(error, 'strerror', None) or error}"
            with contextlib.suppress(OSError):
                log = os.open(err or out, APPEND | os.O_CLOEXEC, 0o644)
                os.write(log, f"{problem}\n".encode(errors="replace"))
                os.close(log)
            if written:
                self.write(b"/ %d 0;\n" % number)
            status = (127 if isinstance(error, FileNotFoundError) else 126) << 8
            self.send("exit", number, status, b"", problem, getattr(error, "errno", None) or 0, (0, 0.0))
            return
        if written:
            self.write(b"= %d %d;\n" % (number, pid))
        if stdout is not None:
            os.close(writer)
            self.keep(number, stdout)
        self.alive[pid] = number
        self.pids[number] = pid
        self.bonds[number] = bond
        self.send("spawned", number, pid)

    def keep(self, number: int, stdout: Stdout) -> None:
        self.kept[number] = self.pipes[stdout.reader] = stdout
        self.poll.register(stdout.reader, select.POLLIN)

    def unread(self, reader: int) -> None:
        """Read a pipe no more."""
        if self.pipes.pop(reader, None) is not None:
            self.poll.unregister(reader)

    def stdout(self, number: int) -> bytes:
        """The end of what an ended process wrote, where that was to be kept."""
        if (kept := self.kept.pop(number, None)) is None:
            return b""
        self.unread(kept.reader)
        written = kept.end()
        kept.close()
        self.deposit.tidy(self.kept)
        return written

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
                self.pids.pop(number, None)
                # it stays a child until its end is written down: whoever is killed, one of the two tells of it
                status = info.si_status << 8 if info.si_code == os.CLD_EXITED else info.si_status
                stdout = self.stdout(number)
                if self.bonds.pop(number) != HELPER and self.folder >= 0:
                    self.write(b"- %d %d %s;\n" % (number, status, b64(stdout, newline=False)))
                self.send("exit", number, status, stdout, "", 0, processes.used(pid, self.strays))
            else:
                os.waitpid(pid, 0)
            if pid == self.watchman:
                self.watchman = processes.watchman(self.token)
        if exited:
            self.sweep()

    def strays(self) -> list[int]:
        """Orphans of what it has started: they are its children now."""
        known = {*self.alive, self.watchman}
        return [pid for pid in map(int, os.pread(self.offspring, 1 << 16, 0).split()) if pid not in known]

    def sweep(self) -> None:
        """Kill orphans of processes that have ended."""
        for pid in filter(lambda pid: not self.helps(pid), self.strays()):
            with contextlib.suppress(OSError, ValueError):
                if os.getsid(pid) not in self.alive and processes.mark(pid) not in self.pids:
                    os.kill(pid, signal.SIGKILL)

    def helps(self, pid: int) -> bool:
        """Whether it is podman's own monitor of a container: those go with the last command."""
        return bool(self.last) and processes.name(pid) in ("conmon", "podman", "catatonit")

    def kill(self, number: int, what: int) -> None:
        pid = self.pids.get(number)
        if pid is None:
            return
        inner = processes.inside(pid) if what != signal.SIGKILL else []
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if inner:
                # a sandbox's monitor would die at once and take the rest with it: reach through
                for each in inner:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(each, what)
            else:
                os.killpg(pid, what)

    def end(self) -> None:
        """Kill what is left, until nothing is; what was released stays. The last command comes first.

        What has ended by itself until then has ended, and is written down; what ends because another one was killed has
        not. So all are stopped before the first is killed.
        """
        for pid in self.alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGSTOP)
        self.reap()
        self.tell()
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
            for pid in processes.children(self.me):
                with contextlib.suppress(OSError, ValueError):
                    if {pid, os.getsid(pid)} & self.released or processes.mark(pid) in self.free:
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
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o022)
    processes.reap_orphans()
    sock = socket.socket(fileno=int(sys.argv[1]))
    # whoever held a copy would keep the engine from seeing that the keeper is gone
    sock.set_inheritable(False)
    deposit = Deposit()
    if (told := processes.begin(sock)) is None:
        return
    token, grace, descriptors = told
    listener = socket.socket(fileno=descriptors["door"]) if "door" in descriptors else None
    folder, network = (descriptors.get(name, -1) for name in ("folder", "network"))
    # closes when the guard is gone; the guard alone holds the other end
    guard, held = os.pipe2(os.O_CLOEXEC)
    inner = os.fork()
    if inner:
        sock.close()
        os.close(guard)
        processes.hush()
        if os.waitpid(inner, 0)[1] == 0:
            return
        keeper = Keeper(None, -1, deposit, folder, listener, network, grace, token)
    else:
        os.close(held)
        os.setsid()
        processes.reap_orphans()
        keeper = Keeper(sock, guard, deposit, folder, listener, network, grace, token)
        keeper.introduce()
        keeper.tell()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        if inner:
            keeper.inherit()
        keeper.run()
    finally:
        keeper.end()


if __name__ == "__main__":
    main()
