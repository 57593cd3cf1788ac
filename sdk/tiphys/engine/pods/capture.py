"""Keeping a container's stdout for ``outputs.result`` while it also goes to the log."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tiphys.engine.base.loop import Loop
from tiphys.engine.pods.outputs import RESULT_LIMIT, trim_result

__all__ = ["Capture"]


class Capture:
    """A pipe whose write end becomes the container's stdout."""

    def __init__(self, loop: Loop, log: Path) -> None:
        self._loop = loop
        self._data = bytearray()
        self._reader, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._reader, False)
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        loop.watch(self._reader, self._read)

    def started(self) -> None:
        """The keeper has the write end now."""
        os.close(self.writer)
        self.writer = -1

    def result(self) -> str:
        """Everything that was written, as ``outputs.result`` has it; closes the pipe."""
        self._read()
        self.close()
        return trim_result(bytes(self._data))

    def close(self) -> None:
        if self._reader < 0:
            return
        self._loop.unwatch(self._reader)
        for descriptor in (self._reader, self._log, self.writer):
            if descriptor >= 0:
                os.close(descriptor)
        self._reader = self.writer = -1

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._reader >= 0:
                data = os.read(self._reader, 1 << 16)
                if not data:
                    self._loop.unwatch(self._reader)
                    return
                os.write(self._log, data)
                self._data += data
                if len(self._data) > 4 * RESULT_LIMIT:
                    del self._data[: -RESULT_LIMIT - 1]
