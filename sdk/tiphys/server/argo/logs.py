"""The logs of a run: of all its pods, in the order of their times.

Source: util/logs of Argo 4.1.2. What is there already is sorted; what comes while it is followed comes as it is seen.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiphys.argo.selectors import Requirement, matches_labels, parse_labels
from tiphys.records.points import log_sizes
from tiphys.server.answers import RequestError
from tiphys.server.argo.lists import ended
from tiphys.server.logs import shown_time, timed_lines
from tiphys.server.pods import MAIN, PodCollection, containers_of

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.server.board import Board

__all__ = ["LogsAsked", "run_logs"]

_NODE = "workflows.argoproj.io/node-id"
_PERIOD = 0.1  # seconds between two looks at whether there are more pods


@dataclass(frozen=True)
class LogsAsked:
    """What of the logs is wanted. ``tail``: the last so many lines of each pod; ``since``: seconds since the epoch."""

    pod: str
    labels: tuple[Requirement, ...]
    grep: re.Pattern[str]
    follow: bool
    times: bool
    tail: int | None
    since: float
    container: str
    previous: bool  # of the container before this one, which never is: a retry is another pod

    @classmethod
    def of(cls, query: Mapping[str, str], pod: str = "") -> LogsAsked:
        """Raises RequestError 400 for an expression or number that is none."""

        def number(key: str) -> int | None:
            text = query.get(f"logOptions.{key}", "")
            if text and not text.isdecimal():
                raise RequestError(400, f"logOptions.{key}: {text!r} is no number")
            return int(text) if text else None

        def flag(key: str) -> bool:
            return query.get(f"logOptions.{key}", "").lower() in ("true", "1")

        try:
            grep = re.compile(query.get("grep", ""))
        except re.error as error:
            raise RequestError(400, f'failed to compile "{query["grep"]}": {error}') from None
        ago, since = number("sinceSeconds"), number("sinceTime.seconds")
        return cls(
            pod or query.get("podName", ""),
            tuple(parse_labels(query.get("selector", ""))),
            grep,
            flag("follow"),
            flag("timestamps"),
            number("tailLines"),
            time.time() - ago if ago is not None else float(since or 0),
            query.get("logOptions.container", "") or MAIN,
            flag("previous"),
        )

    def means(self, pod: Workflow) -> bool:
        """Whether the log of a pod is wanted: it has begun."""
        metadata = pod["metadata"]
        return (
            not self.previous
            and self.container in containers_of(pod)
            and self.pod in ("", metadata["name"])
            and matches_labels(self.labels, metadata.get("labels"))
            and (pod.get("status") or {}).get("phase") != "Pending"
        )


async def run_logs(board: Board, run: str, wanted: LogsAsked) -> AsyncIterator[tuple[str, str]]:
    """The name of a pod and a line of its log, for each line; with ``follow`` until the run has ended."""
    begun: set[str] = set()
    lines: asyncio.Queue[tuple[float, str, bytes]] = asyncio.Queue(1000)
    readers: list[asyncio.Task[None]] = []
    sizes = await asyncio.to_thread(log_sizes, board.store.run(run))

    async def read(pod: Workflow) -> None:
        name, node = pod["metadata"]["name"], pod["metadata"]["annotations"][_NODE]
        found = timed_lines(
            board,
            run,
            node,
            sizes.get(node, ()),
            follow=wanted.follow,
            tail=wanted.tail,
            container=wanted.container,
        )
        async for at, line in found:
            if at >= wanted.since:
                await lines.put((at, name, line))

    try:
        while True:
            over = not wanted.follow or await asyncio.to_thread(_ended, board, run)  # before the last look
            pods = (await asyncio.to_thread(PodCollection(board, run).briefs))[1]
            for pod in pods:
                if pod["metadata"]["name"] not in begun and wanted.means(pod):
                    begun.add(pod["metadata"]["name"])
                    readers.append(asyncio.create_task(read(pod)))
            found: list[tuple[float, str, bytes]] = []
            while over and not all(each.done() for each in readers):
                found += _drained(lines)
                await asyncio.sleep(0.005)
            found += _drained(lines)
            for at, name, line in sorted(found, key=lambda each: each[0]):
                text = line.decode(errors="replace")
                shown = f"{shown_time(at).decode()} {text}" if wanted.times else text
                if wanted.grep.search(shown):
                    yield name, shown
            for each in readers:
                if each.done():
                    each.result()
            if over:
                return
            await asyncio.sleep(_PERIOD)
    finally:
        for each in readers:
            each.cancel()


def _drained(lines: asyncio.Queue[tuple[float, str, bytes]]) -> list[tuple[float, str, bytes]]:
    found = []
    while not lines.empty():
        found.append(lines.get_nowait())
    return found


def _ended(board: Board, run: str) -> bool:
    found = board.get(run)
    return found is None or ended(found)
