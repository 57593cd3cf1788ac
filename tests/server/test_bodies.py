"""Bodies of requests: what is no object is refused, and so is what is too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request

from tiphys.server.answers import RequestError
from tiphys.server.bodies import json_of, until_gone


def request(*parts: bytes) -> Request:
    """A request that comes in parts, and whose client goes then."""
    told: list[dict[str, object]] = [
        {"type": "http.request", "body": part, "more_body": True} for part in parts
    ]
    told += [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, object]:
        return told.pop(0) if len(told) > 1 else told[0]

    return Request({"type": "http", "method": "POST", "headers": []}, receive)  # type: ignore[arg-type]


def test_an_object_may_come_in_parts() -> None:
    assert asyncio.run(json_of(request(b'{"a"', b": [1]}"))) == {"a": [1]}


@pytest.mark.parametrize(
    ("body", "number"),
    [(b"[1]", 400), (b"{", 400), (b"", 400), (b"[" * 100_000, 400), (b'"' + b"x" * (10 << 20) + b'"', 413)],
)
def test_what_is_not_taken(body: bytes, number: int) -> None:
    with pytest.raises(RequestError) as told:
        asyncio.run(json_of(request(body)))
    assert told.value.number == number


def test_an_answer_ends_when_nobody_reads_it() -> None:
    async def lines() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0)

    async def read() -> list[bytes]:
        asked = request()
        await asked.body()
        return [line async for line in until_gone(asked, lines())]

    assert asyncio.run(asyncio.wait_for(read(), 10))[0] == b"x"
