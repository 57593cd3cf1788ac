"""Where what takes long of a request is done, so that others do not wait: a few bytes on the loop, more in one thread
beside it, and what is very large in a process of its own, whose parser holds no lock of ours.

The process is started by the first that needs it and ends with this one, however that ends: what it is to do comes by a
pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, TypeVar

from tiphys.serving.model.servable import Code, ModelError

__all__ = ["HUGE", "Lane"]

T = TypeVar("T")
_BIG = 32 * 1024  # bytes: some milliseconds
HUGE = 1024 * 1024
"""Bytes of what is done in a process of its own."""
_SIZE = struct.Struct("<Q")


class Lane:
    """One of a server. Functions are those of a module: the process finds them by their names."""

    def __init__(self) -> None:
        # one thread each: it holds the interpreter's lock, which each of several would take in its turn
        self._beside = ThreadPoolExecutor(1, "tiphys-large-bodies")
        self._apart = ThreadPoolExecutor(1, "tiphys-huge-bodies")
        self._helper: subprocess.Popen[bytes] | None = None
        self._closed = False

    async def do(
        self, function: Callable[..., T], /, *arguments: object, size: int, apart: bool = False
    ) -> T:
        """Call a function; ``size``: of what it works on, in bytes. ``apart``: when that is huge, arguments and result
        are worth carrying to a process and back. Raises what the function raises, ModelError INTERNAL where the process
        is killed twice."""
        if size < _BIG:
            return function(*arguments)
        loop = asyncio.get_running_loop()
        if apart and size >= HUGE:
            return await loop.run_in_executor(self._apart, partial(self._sent, function, *arguments))
        return await loop.run_in_executor(self._beside, partial(function, *arguments))

    def close(self) -> None:
        """End what works here; what is under way is ended first, or cut off with the process."""
        self._closed = True
        for each in (self._beside, self._apart):
            each.shutdown(wait=False, cancel_futures=True)
        self._end()

    # ---- the process, used by the thread of ``_apart``
    def _sent(self, function: Callable[..., T], *arguments: object) -> T:
        asked = pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL)
        for _ in range(2):  # once more, where it was killed
            try:
                helper = self._running()
                _write(helper.stdin, asked)
                raised, found = pickle.loads(_read(helper.stdout))
            except (OSError, EOFError):
                self._end()
                continue
            if raised:
                raise found
            result: T = found
            return result
        raise ModelError(Code.INTERNAL, "The process that works on large requests was killed.")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise EOFError
        if self._helper is None:
            self._helper = subprocess.Popen(
                [sys.executable, "-m", "tiphys.serving.rest.lane"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        return self._helper

    def _end(self) -> None:
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.kill()
            helper.wait()
            for pipe in (helper.stdin, helper.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # what was not sent is lost with it
                        pipe.close()


def _write(stream: IO[bytes] | None, data: bytes) -> None:
    assert stream is not None
    stream.write(_SIZE.pack(len(data)))
    stream.write(data)
    stream.flush()


def _read(stream: IO[bytes] | None) -> bytes:
    """Raises EOFError."""
    assert stream is not None
    head = stream.read(_SIZE.size)
    if len(head) < _SIZE.size:
        raise EOFError
    data = stream.read(_SIZE.unpack(head)[0])
    if len(data) < _SIZE.unpack(head)[0]:
        raise EOFError
    return data


def main() -> None:
    """Do what is asked on stdin until that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the server ends it
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # nothing else is written there
        while True:
            try:
                function, arguments = pickle.loads(_read(sys.stdin.buffer))
            except EOFError:
                return
            try:
                found = pickle.dumps((False, function(*arguments)), pickle.HIGHEST_PROTOCOL)
            except Exception as error:  # noqa: BLE001 - it is the answer
                found = pickle.dumps((True, error), pickle.HIGHEST_PROTOCOL)
            try:
                _write(answers, found)
            except OSError:
                return


if __name__ == "__main__":
    main()
