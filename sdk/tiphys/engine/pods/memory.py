"""Memory limits: containers are watched, and one over its ``resources.limits.memory`` is killed, as a cgroup does.

A cgroup would need rights that a plain user rarely has. What counts is what the kernel counts for a cgroup, page
cache aside: anonymous and shared memory, each page once. The cheap sum (``/proc/PID/status``) counts pages that
forked processes share once for each; only when that is over the limit the exact one (``smaps_rollup``) is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from tiphys.engine.base.loop import Loop, Timer
from tiphys.engine.runners._processes import children
from tiphys.engine.runners.spawner import Process

__all__ = ["MemoryWatch", "memory_of", "tree"]

_FASTEST, _SLOWEST = 0.01, 0.25  # seconds between looks
_GROWTH = 2e9  # bytes a second: as fast as a program is taken to grow


@dataclass(slots=True)
class _Watched:
    process: Process
    limit: int
    over: Callable[[], None]


class MemoryWatch:
    """Watches the processes of one run that have a limit. Costs nothing while there are none."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._watched: list[_Watched] = []
        self._timer: Timer | None = None

    def watch(self, process: Process, limit: int, over: Callable[[], None]) -> None:
        """Kill ``process`` and its descendants once they use more than ``limit`` bytes; ``over`` is called then."""
        self._watched.append(_Watched(process, limit, over))
        if self._timer is None:
            self._timer = self._loop.call_later(_FASTEST, self._look)

    def _look(self) -> None:
        self._timer = None
        self._watched = [each for each in self._watched if each.process.code is None]
        patience = _SLOWEST
        for each in list(self._watched):
            if not each.process.pid:
                patience = _FASTEST
                continue
            used = memory_of(each.process.pid)
            each.process.watched = max(each.process.watched, used)
            if used > each.limit and memory_of(each.process.pid, exact=True) > each.limit:
                self._watched.remove(each)
                each.over()
                each.process.kill()
                continue
            patience = min(patience, max((each.limit - used) / _GROWTH, _FASTEST))
        if self._watched:
            self._timer = self._loop.call_later(patience, self._look)


def memory_of(pid: int, *, exact: bool = False) -> int:
    """Bytes of anonymous and shared memory of a process and its descendants."""
    return sum(map(_exact if exact else _quick, tree(pid)))


def tree(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    look = [pid]
    while look:
        each = look.pop()
        yield each
        with suppress(OSError):
            look += children(each)


def _quick(pid: int) -> int:
    return _sum(f"/proc/{pid}/status", (b"RssAnon:", b"RssShmem:"))


def _exact(pid: int) -> int:
    return _sum(f"/proc/{pid}/smaps_rollup", (b"Pss_Anon:", b"Pss_Shmem:"))


def _sum(path: str, names: tuple[bytes, ...]) -> int:
    try:
        with open(path, "rb") as stream:
            return 1024 * sum(int(line.split()[1]) for line in stream if line.startswith(names))
    except (OSError, ValueError):  # it has ended, or belongs to somebody else
        return 0
