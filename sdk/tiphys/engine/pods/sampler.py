"""What the pods of a run were seen to use: a line for each pod and second in ``samples.jsonl`` of the run's folder.

Of each pod: ``memory`` as :mod:`tiphys.engine.pods.memory` counts it, ``peak_memory`` so far, ``cpu`` seconds of its
processes, those that have ended included, bytes of its ``log``, and, of one that has a network for itself, bytes
``received`` and ``sent`` since it was first seen. The last line of a pod is written when it has ended, from what the
kernel kept of it; so is what happened to replicas of a gang (``event``: started, failed, restarted, …).

To look costs some 50 µs a process; the pause after a look is a thousand times as long as the look was, between one
second and four. A file that grows beyond a size is thinned out: every other sample of each pod goes, what tells of an
end or an event stays.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from tiphys.engine.base.loop import Loop, Timer
from tiphys.engine.pods.memory import tree
from tiphys.engine.runners.spawner import Process
from tiphys.reference import open_file
from tiphys.store.reports import SAMPLES

__all__ = ["Sampler", "thinned"]

_FIRST, _FASTEST, _SLOWEST = 0.2, 1.0, 4.0  # seconds after a start, and between looks
_SHARE = 0.0009  # of a core: a thousandth, with the loop that calls it
_LARGEST = 4 << 20  # bytes of the file: some 40 000 samples
_TICK = os.sysconf("SC_CLK_TCK")
_MEMORY = (b"RssAnon:", b"RssShmem:")


@dataclass(slots=True)
class _Seen:
    """A process as it was at the last look. Bytes, and ticks of its own and of its ended children."""

    memory: int = 0
    file: int = 0  # pages of files, which are not counted, but are in the kernel's peak
    high: int = 0  # the kernel's peak
    ticks: int = 0
    pages: int = -1


_NEW = _Seen()


@dataclass(slots=True)
class _Pod:
    """The processes of one pod, and what is known of it."""

    node: str
    worker: str
    processes: list[Process] = field(default_factory=list)
    seen: dict[int, _Seen] = field(default_factory=dict)
    memory: int = 0
    peak: int = 0
    cpu: float = 0.0  # of containers that have ended
    before: float = 0.0  # what was told last: it never falls
    network: _Network | None = None
    log: str = ""  # the file of its first container's

    def look(self) -> None:
        """Look at every process of it."""
        now: dict[int, _Seen] = {}
        for process in self.processes:
            if process.pid:
                for pid in tree(process.pid):
                    if (found := _look(pid, self.seen.get(pid, _NEW))) is not None:
                        now[pid] = found
        self.memory = sum(each.memory for each in now.values())
        self.peak = max(self.peak, self.memory)
        for pid, each in now.items():
            if each.high > (self.seen[pid].high if pid in self.seen else 0):  # it was higher since
                self.peak = max(self.peak, self.memory - each.memory + max(each.high - each.file, 0))
        self.seen = now

    def ended(self, process: Process) -> None:
        """The kernel's last word on one of its processes and all that it waited for."""
        self.processes.remove(process)
        self.peak = max(self.peak, process.watched)
        if process.peak > max((each.high for each in self.seen.values()), default=0):
            largest = max(self.seen.values(), key=lambda each: each.high, default=_NEW)
            others = self.memory - largest.memory if self.processes else 0
            self.peak = max(self.peak, others + process.peak - largest.file)
        known = self.seen.pop(process.pid, _NEW)
        self.cpu += max(process.cpu, known.ticks / _TICK)
        if not self.processes:
            self.memory = 0
            self.seen.clear()

    def line(self, at: float, **more: float) -> bytes:
        seconds = self.cpu + sum(each.ticks for each in self.seen.values()) / _TICK
        self.before = max(self.before, seconds)
        told: dict[str, object] = {"at": round(at, 3), "node": self.node}
        if self.worker:
            told["worker"] = self.worker
        told["cpu"] = round(self.before, 2)
        if self.peak:  # else it is not known
            told["memory"], told["peak_memory"] = self.memory, self.peak
        with suppress(OSError):
            told["log"] = os.stat(self.log).st_size
        if self.network is not None:
            told["received"], told["sent"] = self.network.received, self.network.sent
        told.update(more)
        return _line(told)


@dataclass(slots=True)
class _Network:
    """The interfaces of a network namespace that no other pod is in, at two looks that follow one another."""

    name: str
    last: tuple[int, int] | None = None
    received: int = 0
    sent: int = 0


class Sampler:
    """Looks at the pods of one run, and writes to ``folder``. Costs nothing while there are none."""

    def __init__(self, loop: Loop, folder: Path) -> None:
        self._loop = loop
        self._path = folder / SAMPLES
        self._pods: dict[tuple[str, str], _Pod] = {}
        self._ended: dict[tuple[str, str], float] = {}  # seconds of those that may begin again
        self._timer: Timer | None = None
        self._next = 0.0  # when the timer is due
        self._all = 0.0  # when all are looked at again; those that have just started are before
        self._unwritten: list[bytes] = []
        self._size = -1  # of the file, once it is known
        self._own = _namespace(os.getpid())

    def watch(self, process: Process, node: str, worker: str = "", log: str = "") -> Callable[[], None]:
        """Look at the process of a container, and the size of its log, from now on; to be told when it has ended."""
        key = node, worker
        if (pod := self._pods.get(key)) is None:
            pod = self._pods[key] = _Pod(node, worker, cpu=self._ended.pop(key, 0.0), log=log)
        pod.processes.append(process)
        self._look_in(_FIRST)

        def ended() -> None:
            pod.ended(process)
            if not pod.processes:
                self._pods.pop(key, None)
                self._ended[key] = pod.cpu
                self._unwritten.append(pod.line(self._loop.now(), end=process.code or 0))
                self._look_in(_FIRST)

        return ended

    def event(self, node: str, worker: str, name: str, message: str = "", code: int | None = None) -> None:
        """Write down what happened to a replica of a gang."""
        told: dict[str, object] = {"at": round(self._loop.now(), 3), "node": node, "event": name}
        given = {"worker": worker, "message": message[:200], "exit_code": code}
        self._unwritten.append(
            _line({**told, **{key: value for key, value in given.items() if value not in ("", None)}})
        )
        self._look_in(_FIRST)

    def forget(self, node: str) -> None:
        """A step's own pod is over: none of its containers begins any more."""
        self._ended.pop((node, ""), None)

    def flush(self) -> None:
        """Write what is not written yet."""
        if self._unwritten:
            lines, self._unwritten = self._unwritten, []
            self._write(lines)

    # -- inside -----------------------------------------------------------------------------------------------

    def _look_in(self, seconds: float) -> None:
        due = self._loop.now() + seconds
        if self._timer is not None:
            if self._next <= due:
                return
            self._timer.cancel()
        self._next = due
        self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        now, began = self._loop.now(), time.thread_time()
        new = [pod for pod in self._pods.values() if not pod.seen]
        looked = new if now < self._all else list(self._pods.values())
        for pod in looked:
            pod.look()
        if looked is not new:
            self._look_at_networks()
        self._unwritten += [pod.line(now) for pod in looked if pod.seen]
        self.flush()
        if not self._pods:
            return
        if looked is not new:
            cost = time.thread_time() - began
            self._all = now + min(max(_FASTEST, cost / _SHARE), _SLOWEST)
        self._look_in(max(self._all - now, 0.0))

    def _look_at_networks(self) -> None:
        """What went through the interfaces is a pod's own only while nobody else uses them."""
        of: dict[str, list[_Pod]] = {}
        for pod in self._pods.values():
            name = next(map(_namespace, pod.seen), "") if pod.seen else ""
            if name and self._own and name != self._own:
                of.setdefault(name, []).append(pod)
        for name, pods in of.items():
            counted = _bytes_of(next(iter(pods[0].seen))) if len(pods) == 1 else None
            for pod in pods:
                net = pod.network = pod.network or _Network(name)
                if counted is not None and net.last is not None:
                    net.received += max(counted[0] - net.last[0], 0)
                    net.sent += max(counted[1] - net.last[1], 0)
                net.last = counted

    def _write(self, lines: Iterable[bytes]) -> None:
        """What cannot be written is lost: a full disk is the journal's to tell."""
        data = b"".join(lines)
        if not data:
            return
        with suppress(OSError):
            if self._size < 0:
                self._size, whole = _state(self._path)
                data = data if whole else b"\n" + data
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                written = os.write(descriptor, data)
            finally:
                os.close(descriptor)
            self._size = self._size + written if written == len(data) else -1
            if self._size > _LARGEST:
                self._thin()

    def _thin(self) -> None:
        with open(self._path, "rb") as stream:
            data = thinned(stream.read())
        temporary = self._path.with_name(f".{SAMPLES}")
        temporary.write_bytes(data)
        os.replace(temporary, self._path)
        self._size = len(data)


def thinned(data: bytes) -> bytes:
    """Without every other sample of each pod. What tells of an end or an event stays, unless that is most of it: then
    the older half of all lines goes."""
    kept: list[bytes] = []
    odd: dict[bytes, bool] = {}
    for line in data.splitlines(keepends=True):
        if b'"end": ' not in line and b'"event": ' not in line:
            who = line.partition(b', "cpu": ')[0].partition(b'"node": ')[2]
            odd[who] = not odd.get(who, False)
            if not odd[who]:
                continue
        kept.append(line)
    if sum(map(len, kept)) > _LARGEST * 3 // 4:
        kept = kept[len(kept) // 2 :]
    return b"".join(kept)


def _line(told: dict[str, object]) -> bytes:
    return json.dumps(told).encode() + b"\n"


def _state(path: Path) -> tuple[int, bool]:
    """The size of a file, and whether it ends with the end of a line: an engine may have been killed meanwhile."""
    try:
        with open_file(path) as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(size - 1, 0))
            return size, stream.read(1) in (b"", b"\n")
    except FileNotFoundError:
        return 0, True


def _look(pid: int, before: _Seen) -> _Seen | None:
    """A process now. While it has as many pages as ``before``, its memory is taken to be what it was."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as stream:
            words = stream.read().rpartition(b")")[2].split()
        ticks, pages = int(words[11]) + int(words[12]) + int(words[13]) + int(words[14]), int(words[21])
        if pages == before.pages:
            return replace(before, ticks=ticks)
        with open(f"/proc/{pid}/status", "rb", buffering=0) as stream:
            text = stream.read()
    except OSError:
        return None
    found = _Seen(ticks=ticks, pages=pages)
    for line in text[text.find(b"\nVmHWM:") + 1 :].split(b"\n", 5)[
        :5
    ]:  # VmHWM, VmRSS, RssAnon, RssFile, RssShmem
        name, _, rest = line.partition(b"\t")
        if name in _MEMORY:
            found.memory += 1024 * int(rest.split()[0])
        elif name == b"VmHWM:":
            found.high = 1024 * int(rest.split()[0])
        elif name == b"RssFile:":
            found.file = 1024 * int(rest.split()[0])
    return found


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


def _bytes_of(pid: int) -> tuple[int, int] | None:
    """Received and sent by all interfaces but the loopback."""
    received = sent = 0
    try:
        with open(f"/proc/{pid}/net/dev", "rb", buffering=0) as stream:
            for line in stream.read().splitlines()[2:]:
                name, _, numbers = line.partition(b":")
                if name.strip() != b"lo":
                    words = numbers.split()
                    received, sent = received + int(words[0]), sent + int(words[8])
    except (OSError, ValueError, IndexError):
        return None
    return received, sent
