"""What a killed engine left in its run's folder: the records of its processes, and perhaps the keeper that has them.

Only who holds the run's folder may call these: it alone decides what becomes of them.
"""

from __future__ import annotations

import binascii
import contextlib
import copy
import json
import marshal
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any, NamedTuple

from tiphys.engine.runners._processes import RECORDS, received, records
from tiphys.queue.table import boot_id
from tiphys.reference import open_file
from tiphys.store.files import clear

__all__ = [
    "RECORDS",
    "Earlier",
    "Left",
    "LeftPod",
    "Start",
    "await_end",
    "begin_records",
    "clear_records",
    "dismiss",
    "end_left",
    "exit_code",
    "find",
    "heard",
    "keeper_grace",
    "listen",
]

GRACE = 60.0  # seconds that the steps of a killed engine go on and wait for the next one
_SOCKET = "keeper"  # in the run's folder
_encode = json.JSONEncoder(separators=(",", ":")).encode
_PATIENCE = 20.0  # seconds for a keeper to answer or to end


def keeper_grace() -> float:
    """How long steps outlive a killed engine; ``TIPHYS_KEEPER_GRACE`` gives another number, 0: not at all."""
    try:
        return max(0.0, float(os.environ.get("TIPHYS_KEEPER_GRACE", GRACE)))
    except ValueError:
        return GRACE


def exit_code(status: int) -> int:
    """Of what ended with a wait status, as a shell tells it: 128 + N after signal N."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


class Start(NamedTuple):
    """What is written down of the start of a pod's container: the ``nth`` start of ``container`` in a pod, which may
    have been made anew (``generation``) and lies in ``folder`` of the run's ``nodes``. ``serves``: a sidecar, whose end
    is nobody's result. ``pod`` is a node's ID, or ``UID/NAME`` of one that an object made. ``child``: of a
    workflow that a step made, its run's name, its UID and more (``kept_by.py``): the folder lies in ``nodes`` of that
    run; empty: it is a pod of the run itself."""

    pod: str
    generation: int
    container: str
    nth: int
    folder: str
    ip: str
    runner: str
    serves: bool = False
    child: str = ""

    def note(self) -> str:
        """As the keeper writes it down."""
        return _encode(self)


@dataclass(slots=True)
class Earlier:
    """A process that an earlier engine started: it is ``alive``, has ended with ``status``, or (None) was lost with its
    keeper."""

    number: int
    pid: int
    start: Start
    alive: bool = False
    status: int | None = None
    stdout: bytes = b""

    @property
    def code(self) -> int | None:
        """The exit code, of one that has ended."""
        return None if self.status is None else exit_code(self.status)


@dataclass(slots=True)
class LeftPod:
    """What there is of a pod."""

    generation: int
    folder: str
    ip: str
    runner: str
    containers: dict[tuple[str, int], Earlier] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether it can go on, or be collected: nothing is lost, or only what served a container that has ended."""
        lost = [each for each in self.containers.values() if each.status is None and not each.alive]
        return all(each.start.serves for each in lost) and (not lost or self.over)

    @property
    def over(self) -> bool:
        """Whether what it has of its work has ended."""
        work = [each for each in self.containers.values() if not each.start.serves]
        return bool(work) and all(each.status is not None for each in work)

    def last(self, container: str) -> Earlier | None:
        """The last start of a container."""
        found = [nth for name, nth in self.containers if name == container]
        return self.containers[container, max(found)] if found else None

    def find(self, container: str, nth: int) -> Earlier | None:
        """The nth start of a container; of a lost one the end is that of a kill."""
        found = self.containers.get((container, nth))
        if found is not None and not found.alive and found.status is None:
            found.status = int(SIGKILL)
        return found


class Left:
    """The records of a run's folder. ``alive``: the numbers of the processes that its keeper still has.

    Pods are asked for by the run that they are of: this one, or (:meth:`of_child`) a workflow that a step made.
    """

    def __init__(self, folder: Path, alive: Iterable[int] = ()) -> None:
        self.home = folder  # of the run that has the keeper
        self.folder = folder  # of the run whose pods are meant
        self.child = ""  # what that is called in the records
        self.token = ""
        self.highest = 0
        self._pods: dict[tuple[str, str], LeftPod] = {}  # by the run and the pod's name
        self._made: dict[tuple[str, str], int] = {}  # how often each pod was made so far
        self._claimed: set[tuple[str, str]] = set()
        self._found: dict[int, Earlier] = {}
        try:
            with open_file(folder / RECORDS) as stream:
                data = stream.read()
        except FileNotFoundError:
            data = b""
        boot = current = _boot()
        for mark, words in records(data):
            with contextlib.suppress(ValueError, TypeError, IndexError):
                if mark == b"!":
                    current, self.token = words[0].decode(), words[1].decode()
                elif mark in (b"+", b"&"):
                    self._starts(int(words[0]), int(words[1]), words[2], known=current == boot)
                elif mark == b"=" and (started := self._found.get(int(words[0]))):
                    started.pid = int(words[1])
                elif mark == b"/":
                    self._did_not_start(int(words[0]))
                elif mark == b"-":
                    stdout = binascii.a2b_base64(words[2])
                    self.ended(int(words[0]), int(words[1]), stdout)
        for number in alive:
            self.highest = max(self.highest, number)
            if number in self._found and self._found[number].status is None:  # it may just have ended
                self._found[number].alive = True

    def of_child(self, key: str, folder: Path) -> Left:
        """The same records, for the pods of a workflow that a step made, whose run is in ``folder``."""
        view = copy.copy(self)
        view.child, view.folder = key, folder
        return view

    def children(self) -> set[str]:
        """What the workflows are called that steps made, and of which there are pods."""
        return {child for child, _ in self._pods if child}

    def started(self, key: str) -> list[Earlier]:
        """All processes of such a workflow."""
        return [each for each in self._found.values() if each.start.child == key]

    def alive_of(self, key: str) -> list[int]:
        """The numbers of the processes of such a workflow that live."""
        return [each.number for each in self.started(key) if each.alive]

    def addresses(self) -> set[str]:
        """Those of all pods, of whatever run."""
        return {pod.ip for pod in self._pods.values()} - {"127.0.0.1"}

    def pod(self, name: str, runner: str) -> LeftPod | None:
        """What is left of a pod and can go on with this runner; None: it must be made anew."""
        pod = self._pods.get((self.child, name))
        if (
            pod is None
            or pod.runner != runner
            or not pod.whole
            or not (self.folder / "nodes" / pod.folder).is_dir()
        ):
            return None
        return pod

    def next_generation(self, name: str) -> int:
        """Of a pod that is made now."""
        key = self.child, name
        self._made[key] = self._made.get(key, 0) + 1
        return self._made[key]

    def of(self, uid: str) -> dict[str, LeftPod]:
        """The pods that an object made, whole or not, by their own names."""
        return {
            name[len(uid) + 1 :]: pod
            for (child, name), pod in self._pods.items()
            if child == self.child and name.startswith(f"{uid}/")
        }

    def claim(self, name: str) -> None:
        """Somebody goes on with this pod."""
        self._claimed.add((self.child, name))

    def drop_unclaimed(self) -> None:
        """What objects made and nobody has claimed does not go on. (A node asks for its pod when its turn comes.)"""
        for key in [*self._pods]:
            if key[0] == self.child and "/" in key[1] and key not in self._claimed:
                del self._pods[key]

    def kept(self, runner: str) -> list[LeftPod]:
        """All pods that :meth:`pod` gives."""
        names = [name for child, name in self._pods if child == self.child]
        return [pod for name in names if (pod := self.pod(name, runner)) is not None]

    def stray(self, runner: str) -> list[int]:
        """The numbers of processes that live and belong to no pod which goes on."""
        kept = {each.number for pod in self.kept(runner) for each in pod.containers.values()}
        return [number for number in self.alive_of(self.child) if number not in kept]

    @property
    def known(self) -> dict[int, Earlier]:
        """By their numbers, the processes that live, and those of which it is known how they ended."""
        return {number: each for number, each in self._found.items() if each.alive or each.status is not None}

    @property
    def lost(self) -> bool:
        """Whether there are processes of which nobody knows how they ended."""
        return len(self.known) < len(self._found)

    def ended(self, number: int, status: int, stdout: bytes) -> None:
        """A process has ended."""
        if (found := self._found.get(number)) is not None:
            found.alive, found.status, found.stdout = False, status, stdout

    def _did_not_start(self, number: int) -> None:
        if (found := self._found.pop(number, None)) is not None:
            start = found.start
            containers = self._pods[start.child, start.pod].containers
            if containers.get((start.container, start.nth)) is found:  # the pod was not made anew since
                del containers[start.container, start.nth]

    def _starts(self, number: int, pid: int, note: bytes, *, known: bool) -> None:
        self.highest = max(self.highest, number)
        if not known:  # before a power cut: what was written to disk since is not known
            return
        start = Start(*json.loads(note))
        key = start.child, start.pod
        pod = self._pods.get(key)
        if pod is None or pod.generation != start.generation:
            pod = LeftPod(start.generation, start.folder, start.ip, start.runner)
            self._pods[key] = pod
            self._made[key] = start.generation
        earlier = self._found[number] = Earlier(number, pid, start)
        pod.containers[start.container, start.nth] = earlier


def begin_records(folder: Path, token: str) -> None:
    """A keeper begins to write down what it starts; ``token`` marks its processes."""
    with clear(folder / RECORDS):
        descriptor = os.open(folder / RECORDS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, f"\n! {_boot()} {token};\n".encode())
        finally:
            os.close(descriptor)


def clear_records(folder: Path, *, door: bool = True) -> None:
    """Nothing of an ended run goes on. Without ``door`` who comes still finds a keeper that waits."""
    for name in (RECORDS, *([_SOCKET] if door else [])):
        (folder / name).unlink(missing_ok=True)


def listen(folder: Path) -> socket.socket | None:
    """Where the next engine finds the keeper of this one; None where the file system has no sockets."""
    (folder / _SOCKET).unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(folder) as address:
            sock.bind(address)
        sock.listen(8)
    except OSError:
        sock.close()
        return None
    return sock


@contextlib.contextmanager
def _address(folder: Path) -> Iterator[str]:
    """Of the socket in a folder: an address has room for 108 bytes."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{_SOCKET}"
    finally:
        os.close(descriptor)


def knock(folder: Path) -> socket.socket | None:
    """A connection to the keeper that waits for the next engine, or is about to; None: there is none."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(_PATIENCE)
    try:
        with _address(folder) as address:
            sock.connect(address)
    except OSError:
        sock.close()
        return None
    return sock


class WaitingKeeper(NamedTuple):
    """A keeper that waited for the next engine."""

    sock: socket.socket
    keepers: list[int]  # PIDs: its own, and its guard's, if it has one
    numbers: list[int]  # of its processes
    network: int  # a descriptor of what holds the network that these are in; -1: it is this machine's


def find(folder: Path) -> WaitingKeeper | None:
    """The keeper that waits for the next engine, if there is one."""
    sock = knock(folder)
    if sock is None:
        return None
    descriptors: list[int] = []
    try:
        said, descriptors = received(sock, 1, 1)
        if not said:
            raise EOFError
        _send(sock, "adopt")
        keepers: list[int] = []
        # what else it tells before that, it has written down
        while (frame := heard(sock))[0] != "alive":
            if frame[0] == "keepers":
                keepers = frame[1]
    except (OSError, EOFError):  # it has just ended, and all with it
        sock.close()
        for each in descriptors:
            os.close(each)
        return None
    sock.settimeout(None)
    return WaitingKeeper(sock, keepers, frame[1], descriptors[0] if descriptors else -1)


def end_left(folder: Path) -> None:
    """End the keeper that waits for the next engine of this run, and all that it has; what it wrote down is void."""
    if (sock := knock(folder)) is not None:
        dismiss(sock)
    clear_records(folder)


def dismiss(sock: socket.socket) -> None:
    """Have a keeper end, and all that it has; what had ended before is written down when this returns."""
    with sock, contextlib.suppress(OSError):
        _send(sock, "bye")
        await_end(sock)


def await_end(sock: socket.socket) -> None:
    """Wait until a keeper that was told to end has ended."""
    sock.settimeout(_PATIENCE)
    with contextlib.suppress(OSError):
        while sock.recv(1 << 16):
            pass


def _send(sock: socket.socket, *frame: str) -> None:
    data = marshal.dumps(frame)
    sock.sendall(struct.pack("<I", len(data)) + data)


def heard(sock: socket.socket) -> tuple[Any, ...]:
    """Wait for the next frame of a keeper. Raises EOFError when there is none, OSError."""
    frame: tuple[Any, ...] = marshal.loads(_exactly(sock, *struct.unpack("<I", _exactly(sock, 4))))
    return frame


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _boot() -> str:
    try:
        return boot_id()
    except OSError:
        return "unknown"
