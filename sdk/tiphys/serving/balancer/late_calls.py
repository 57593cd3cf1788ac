"""The gRPC port of a Service, beside its REST port: listened on at once, balanced by call from the first connection on.

Most clients use REST alone: until one connects here grpcio is not imported, and nothing runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine

from tiphys.errors import ServingError
from tiphys.net.server import cannot_listen
from tiphys.serving.balancer.calls import CallBalancer
from tiphys.serving.balancer.endpoint import Endpoints, parse_endpoints
from tiphys.serving.balancer.facade import drained

__all__ = ["LateCalls"]

log = logging.getLogger("tiphys.serving.balancer")
_PART = 256 * 1024


class LateCalls:
    """A :class:`CallBalancer` that is started by its first client, on an event loop.

    Errors: ServingError TIP510 (cannot listen), TIP512 (bad endpoint). Without grpcio connections are closed, and the
    log says why.
    """

    def __init__(self, host: str, port: int, *, endpoints: Endpoints = ()) -> None:
        self.host, self.port = host, port
        self._wanted = parse_endpoints(endpoints)
        self._server: asyncio.Server | None = None
        self._calls: CallBalancer | None = None
        self._starting = asyncio.Lock()
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        try:
            self._server = await asyncio.start_server(self._connected, self.host, self.port)
        except OSError as error:
            raise cannot_listen(self.host, self.port, error) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def set_endpoints(self, endpoints: Endpoints) -> None:
        """Use exactly these from the next call on, with these weights."""
        wanted = parse_endpoints(endpoints)
        async with self._starting:
            self._wanted = wanted
            if self._calls is not None:
                await asyncio.to_thread(self._calls.set_endpoints, wanted)

    async def drained(self, seconds: float) -> bool:
        """Wait until no call runs on endpoints that left; False when that took too long."""
        return self._calls is None or await drained(self._calls, seconds)

    async def stop(self, drain_seconds: float = 10.0) -> None:
        """Take no new connections, let running calls end, and close."""
        if self._server is not None:
            self._server.close()
        async with self._starting:
            if self._calls is not None:
                await asyncio.to_thread(self._calls.stop, drain_seconds)
                self._calls = None
        for each in self._open:
            each.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    # ---- connections
    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            calls = await self._begun()
            inner, outer = await asyncio.open_connection(calls.host, calls.port)
            try:
                await _first(_pass(reader, outer), _pass(inner, writer))
            finally:
                outer.close()
        except ServingError as error:
            log.warning("no gRPC at %s:%d: %s", self.host, self.port, error.message)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._open.discard(task)

    async def _begun(self) -> CallBalancer:
        async with self._starting:
            if self._calls is None:
                calls = CallBalancer("127.0.0.1", 0, endpoints=self._wanted)
                self._calls = await asyncio.to_thread(calls.start)
            return self._calls


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(_PART):
        writer.write(part)
        await writer.drain()


async def _first(*ways: Coroutine[None, None, None]) -> None:
    """Until one way ends: HTTP/2 has no half of a connection."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in tasks:
            each.cancel()
        for each in tasks:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await each
