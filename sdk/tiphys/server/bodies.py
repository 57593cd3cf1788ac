"""What requests bring, and answers that go on until their client has gone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

from tiphys.pages.html import size
from tiphys.server.answers import RequestError

if TYPE_CHECKING:
    from starlette.requests import Request

    from tiphys.jsontypes import JsonObject

__all__ = ["body_of", "json_in", "json_of", "until_gone"]

_MOST = 10 << 20  # bytes of a body


async def body_of(request: Request, most: int = _MOST, what: str = "the body") -> bytes:
    """Raises RequestError 413 for one of more than ``most`` bytes, which is called ``what``."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise RequestError(413, f"{what} has more than {size(most)}")
    return bytes(body)


async def json_of(request: Request) -> JsonObject:
    """The object that was sent. Raises RequestError 400."""
    return json_in(await body_of(request))


def json_in(body: bytes) -> JsonObject:
    """The object that a body is. Raises RequestError 400."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the body is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise RequestError(400, "the body is no object")
    return cast("JsonObject", found)


async def until_gone(request: Request, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The parts of an answer, as long as somebody reads them."""
    async for line in lines:
        yield line
        if await request.is_disconnected():
            return
