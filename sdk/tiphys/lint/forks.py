"""Work that several processes share: forks of this one, which have all that it has read."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, TypeVar

from tiphys.errors import RunError

__all__ = ["by_forks", "forks_for"]

T = TypeVar("T")

_LEAST = 20  # files of one fork: with half of them it takes longer to begin than to do


def forks_for(count: int) -> int:
    """Among how many forks so many files are shared: as many as there are cores for this process; 1, where it is not
    worth it, or where threads run, which do not live through a fork, or nobody can tell (not Linux)."""
    if not os.path.isdir("/proc/self/task") or len(os.listdir("/proc/self/task")) > 1:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), count // _LEAST))


@contextlib.contextmanager
def by_forks(work: Callable[[int], T], count: int, forks: int) -> Iterator[Iterator[T]]:
    """``work(0)``, ``work(1)``, … up to ``count``, in this order, done by so many forks, which begin at once. However
    the block ends, they end with it.

    What it gives raises RunError TIP305 where a fork ends before its work is done.
    """
    begun: list[tuple[int, BinaryIO]] = []

    def found() -> Iterator[T]:
        for number in range(count):
            process, stream = begun[number % forks]
            try:
                each: T = pickle.load(stream)
            except (EOFError, pickle.UnpicklingError) as error:
                raise _broken(process) from error
            yield each

    try:
        # an interrupt is heard once all are known: who is not in the list yet would not be ended
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            for first in range(forks):
                begun.append(_fork(work, range(first, count, forks), begun, before))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield found()
    finally:
        for process, stream in begun:
            stream.close()
            os.kill(process, signal.SIGKILL)  # who has ended already takes no notice
        for process, _ in begun:
            os.waitpid(process, 0)


def _fork(
    work: Callable[[int], T],
    numbers: Sequence[int],
    others: Sequence[tuple[int, BinaryIO]],
    signals: Iterable[int],
) -> tuple[int, BinaryIO]:
    """A process that does these of the work, with these signals blocked, and the end of the pipe into which it writes
    what comes of it."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, open(reading, "rb")
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        for descriptor in (reading, *(stream.fileno() for _, stream in others)):
            os.close(descriptor)  # so that none can write on once nobody is there to read
        gc.freeze()
        with open(writing, "wb") as stream:
            for number in numbers:
                pickle.dump(work(number), stream)
                stream.flush()  # the next may take long
    finally:  # whatever happened: what was to be said of it here is said by the other process
        os._exit(0)


def _broken(process: int) -> RunError:
    state = os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    killed = state is not None and state.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
    how = f"was ended by {signal.Signals(state.si_status).name}" if state and killed else "ended"
    return RunError(
        "TIP305",
        f"a process that had a part of the files {how} before it was done",
        cause="the memory of the machine did not suffice" if killed else "it could not write what it found",
        fix="try again, with fewer files at once",
    )
