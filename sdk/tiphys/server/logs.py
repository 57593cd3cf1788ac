"""The log of a pod, from the file that its container writes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from tiphys.argo.nodes import ENDED
from tiphys.records.points import log_sizes
from tiphys.runs.local.logs import GrowingLog
from tiphys.server.pods import MAIN

if TYPE_CHECKING:
    from pathlib import Path

    from tiphys.server.board import Board

__all__ = ["pod_log", "shown_time", "timed_lines"]

_SOON = 2.0  # seconds
_BATCH = 2000  # lines that are in memory: a log may be larger than that
_PERIOD = 0.1  # seconds between two looks at a log that grows


async def pod_log(
    board: Board, run: str, node: str, *, follow: bool, tail: int | None, times: bool, container: str = MAIN
) -> AsyncIterator[bytes]:
    """The lines of the step ``node`` of a run, as :func:`timed_lines`; ``times``: each begins with its, in RFC 3339."""
    sizes = await asyncio.to_thread(log_sizes, board.store.run(run)) if times else {}
    known = sizes.get(node, ())
    found = timed_lines(board, run, node, known, follow=follow, tail=tail, container=container)
    async for at, line in found:
        yield (shown_time(at) + b" " if times else b"") + line + b"\n"


async def timed_lines(
    board: Board,
    run: str,
    node: str,
    sizes: Sequence[tuple[int, float]],
    *,
    follow: bool,
    tail: int | None,
    container: str = MAIN,
) -> AsyncIterator[tuple[float, bytes]]:
    """The lines of the step ``node`` of a run, with times; with ``follow`` until it has ended. ``sizes``: how long its
    log was and when, as :func:`tiphys.records.points.log_sizes` has it; ``tail``: only the last so many.

    A line's time (seconds since the epoch) is when it was first seen: by who follows the log, or by the engine, which
    looks at the sizes of logs every second or so; lines that were seen together follow each other by a microsecond. Of
    a log at whose size nobody looked it is when the step started. Starts are known to the second, so of one that was
    whole soon after it is the time of its last line: steps that follow each other keep their order.
    """
    name = node if container == MAIN else f"{node}.{container}"
    path = board.store.run(run) / "logs" / f"{name}.log"
    if container != MAIN:
        sizes = ()  # the engine looks at those of ``main``
    log = GrowingLog(path)
    micros, first = 0, True  # whole ones: a float near now is coarser than what is written of it
    while True:
        ended, started = await asyncio.to_thread(_state, board, run, node)  # asked before the last look
        over = ended or not follow
        micros = _micros(_begun(path, started)) if first else max(micros, _micros(time.time()))
        new = log.lines(last=over)
        while found := await asyncio.to_thread(_some, log, new, tail if first else None):
            for told, line in found:
                micros = max(micros + 1, _micros(_seen(sizes, told)))
                yield micros / 1e6, line
        first = False
        if over:
            return
        await asyncio.sleep(_PERIOD)


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)


def _begun(path: Path, started: float) -> float:
    """The time before the first line of a log that is there."""
    with contextlib.suppress(OSError):
        written = path.stat().st_mtime
        if 0 <= written - started < _SOON:
            return written
    return started


def _some(log: GrowingLog, lines: Iterator[bytes], tail: int | None) -> list[tuple[int, bytes]]:
    """The next few lines, or the last ``tail`` of all, each with how far it reaches; none while the container has
    written nothing."""
    with contextlib.suppress(FileNotFoundError):
        told = ((log.told, line) for line in lines)
        return list(islice(told, _BATCH)) if tail is None else list(deque(told, tail))
    return []


def _seen(sizes: Sequence[tuple[int, float]], told: int) -> float:
    """When a log first had so many bytes, at the latest; 0 where that is not known."""
    nth = bisect_left(sizes, (told, 0.0))
    return sizes[nth][1] if nth < len(sizes) else 0.0


def _state(board: Board, run: str, node: str) -> tuple[bool, float]:
    """Whether a step has ended, and when it started."""
    workflow = board.get(run)
    found = ((workflow.get("status") or {}).get("nodes") or {}).get(node) if workflow is not None else None
    if found is None:
        return True, 0.0
    started = found.get("startedAt")
    at = datetime.fromisoformat(started).timestamp() if started else 0.0
    return found.get("phase") in ENDED, at


def shown_time(at: float) -> bytes:
    """A time as the kubelet writes it before a line."""
    said = datetime.fromtimestamp(at, UTC)
    return said.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
