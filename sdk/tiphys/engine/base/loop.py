"""The engine's event loop: timers, file descriptors, and work handed to a few threads.

Not asyncio: the engine may be called from inside a running asyncio loop (a notebook), and it must not touch its
host's child watchers or signal set-up more than it has to.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["Loop", "Timer"]

T = TypeVar("T")


class Timer:
    """A call planned by :meth:`Loop.call_at`; ``cancel`` forgets it."""

    __slots__ = ("callback", "cancelled")

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """Runs callbacks in one thread. Only :meth:`call_threadsafe` may be used from elsewhere."""

    def __init__(self, threads: int = 4) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._ready: deque[Callable[[], None]] = deque()
        self._foreign: deque[Callable[[], None]] = deque()
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._reader, selectors.EVENT_READ, self._wake)
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._guard = threading.Lock()
        self._closed = False

    @property
    def waker(self) -> int:
        """A descriptor that wakes the loop when a byte is written to it."""
        return self._writer

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._ready.append(callback)

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call at ``when`` (seconds since the epoch) or soon after."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        return self.call_at(self.now() + delay, callback)

    def call_threadsafe(self, callback: Callable[[], None]) -> None:
        """Like :meth:`call_soon`, from any thread or a signal handler."""
        self._foreign.append(callback)
        with contextlib.suppress(OSError):
            os.write(self._writer, b"\0")

    def in_thread(
        self, work: Callable[[], T], done: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Do ``work`` in a thread of a small pool and bring its result back into the loop."""
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # 8 ms, and few runs have work for threads

            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="tiphys-engine")

        def task() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it is handed on
                problem = error
                self.call_threadsafe(lambda: failed(problem))
            else:
                self.call_threadsafe(lambda: done(result))

        self._pool.submit(task)

    def watch(self, descriptor: Any, callback: Callable[[], None]) -> None:
        """Call whenever ``descriptor`` can be read."""
        self._selector.register(descriptor, selectors.EVENT_READ, callback)

    def unwatch(self, descriptor: Any) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(descriptor)

    def step(self) -> None:
        """Wait for something to happen and run what it calls."""
        for key, _ in self._selector.select(self._patience()):
            key.data()
        now = self.now()
        while self._timers and (self._timers[0][0] <= now or self._timers[0][2].cancelled):
            timer = heapq.heappop(self._timers)[2]
            if not timer.cancelled:
                timer.callback()
        while self._foreign:
            self._foreign.popleft()()
        for _ in range(len(self._ready)):
            self._ready.popleft()()

    def close(self) -> None:
        """Wait for the threads and give the descriptors back."""
        if self._closed:
            return
        self._closed = True
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._selector.close()
        os.close(self._reader)
        writer, self._writer = self._writer, -1
        os.close(writer)

    def _patience(self) -> float | None:
        if self._ready or self._foreign:
            return 0.0
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        if not self._timers:
            return None
        # time.time may jump: never sleep for long
        return min(max(self._timers[0][0] - self.now(), 0.0), 5.0)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass
