"""What has changed, for a page that is open: server-sent events of a few hundred bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

from tiphys.server.board import Board, ExpiredError

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["events", "told"]

_BREATH = 0.15  # seconds in which changes are gathered
_SILENCE = 15.0  # seconds after which a word is sent, to see whether somebody listens


def events(lines: AsyncIterator[bytes]) -> StreamingResponse:
    """The answer to an EventSource."""
    return StreamingResponse(
        lines,
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def told(
    request: Request, board: Board, since: int, news: Callable[[frozenset[str]], object]
) -> AsyncIterator[bytes]:
    """``news`` is asked, in a thread, what is to be told when the runs of these names have changed; None: nothing."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def heard() -> None:
        loop.call_soon_threadsafe(event.set)

    unheard = board.hear(heard)
    try:
        yield b"retry: 2000\n\n"
        while not await request.is_disconnected():
            event.clear()
            try:
                number, names = await asyncio.to_thread(_changed, board, since)
            except ExpiredError:  # of an earlier server: all may be other
                number, names = board.number, frozenset(["*"])
            said = await asyncio.to_thread(news, names) if names else None
            since = number
            if said is not None:
                yield f"id: {number}\ndata: {json.dumps(said, ensure_ascii=False)}\n\n".encode()
            try:
                await asyncio.wait_for(event.wait(), _SILENCE)
            except TimeoutError:
                yield b": \n\n"
            await asyncio.sleep(_BREATH)
    finally:
        unheard()


def _changed(board: Board, since: int) -> tuple[int, frozenset[str]]:
    found = list(board.changes(since))
    return max([since, *(each.number for each in found)]), frozenset(each.name for each in found)
