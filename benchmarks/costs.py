"""What a command costs: wall time, and the CPU time of all that it starts, also of what it leaves behind."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["Cost", "cost"]

_PR_SET_CHILD_SUBREAPER = 36
_LEFT_SECONDS = 15.0  # a server that a tool leaves behind has so long to end by itself


class Cost(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float


def cost(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None, timeout: float = 600
) -> Cost:
    """Run a command to its end; what it had is counted until the last process of it has ended.

    Raises subprocess.SubprocessError: it failed (``stderr`` is the end of what it said) or took too long.
    """
    _adopt()
    before, begin = _used(), time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            _reap(0)
            raise
        wall = time.perf_counter() - begin
        _reap(_LEFT_SECONDS)
        if code:
            said.seek(max(0, said.tell() - 1000))
            raise subprocess.CalledProcessError(code, command, stderr=said.read().decode(errors="replace"))
    return Cost(wall, _used() - before)


def _adopt() -> None:
    """What a child leaves behind becomes ours: only so is its CPU time told."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap(seconds: float) -> None:
    """Wait for all that was left behind; kill it when the time is over."""
    until = time.monotonic() + seconds
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid:
            continue
        if time.monotonic() > until:
            for each in Path("/proc/self/task").glob("*/children"):
                for child in each.read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(child), signal.SIGKILL)
        time.sleep(0.01)


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
