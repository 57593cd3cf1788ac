"""One port for HTTP/1.1 and for gRPC: the first bytes of a connection tell which it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tiphys.errors import TiphysError

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

__all__ = ["ALPN", "Mux", "mux"]

ALPN = ["http/1.1", "h2"]
"""What TLS offers, best first: browsers and curl get HTTP/1.1, Go's gRPC, which offers HTTP/2 alone, that."""

log = logging.getLogger("tiphys.server")

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # with which HTTP/2 begins (RFC 9113, 3.4)
_SECONDS = 10.0  # that a client has to say which it speaks


class Mux(asyncio.Protocol):
    """A connection of which is not known yet what it speaks. What begins as HTTP/2 does is led to the socket that
    ``front`` names, once it has one; all else is uvicorn's."""

    def __init__(
        self,
        front: Callable[[], Awaitable[str]],
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._front = front
        self._config, self._state, self._app_state = config, server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._read = b""
        self._transport: asyncio.Transport | None = None
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._state.connections.add(self)  # type: ignore[arg-type]  # so that the server's end is its end
        self._late = self._loop.call_later(_SECONDS, self.shutdown)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()

    def shutdown(self) -> None:
        """The server ends, or the client says nothing."""
        if self._transport is not None:
            self._transport.close()

    def _forget(self) -> None:
        self._state.connections.discard(self)
        if self._late is not None:
            self._late.cancel()

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._read += data
        if len(self._read) < len(_PREFACE) and _PREFACE.startswith(self._read):
            return
        self._forget()
        if self._read.startswith(_PREFACE):
            relay = _Relay(self._transport, self._state, self._read)
            self._transport.set_protocol(relay)
            self._transport.pause_reading()
            relay.led(self._front, self._loop)
            return
        http = HttpToolsProtocol(
            config=self._config, server_state=self._state, app_state=self._app_state, _loop=self._loop
        )
        http.connection_made(self._transport)
        self._transport.set_protocol(http)
        http.data_received(self._read)


class _Side(asyncio.Protocol):
    """One of two connections of which each is told what the other says, no faster than it takes it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class _Inner(_Side):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)


class _Relay(_Side):
    """The client's side."""

    def __init__(self, transport: asyncio.Transport, state: ServerState, read: bytes) -> None:
        super().__init__()
        self.transport = transport
        self._state, self._read = state, read
        self._leading: asyncio.Task[None] | None = None
        state.connections.add(self)  # type: ignore[arg-type]  # as above: all it needs is shutdown()

    def led(self, front: Callable[[], Awaitable[str]], loop: asyncio.AbstractEventLoop) -> None:
        self._leading = loop.create_task(self._lead(front))

    async def _lead(self, front: Callable[[], Awaitable[str]]) -> None:
        assert self.transport is not None
        try:
            path = await front()
            _, inner = await asyncio.get_running_loop().create_unix_connection(_Inner, path)
        except (TiphysError, OSError, RuntimeError) as error:
            log.warning("a client speaks gRPC, which cannot be answered: %s", error)
            self.transport.close()
            return
        inner.other, self.other = self, inner
        assert inner.transport is not None
        inner.transport.write(self._read)
        if self.transport.is_closing():
            inner.transport.close()
            return
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.connections.discard(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server ends."""
        assert self.transport is not None
        self.transport.close()


def mux(front: Callable[[], Awaitable[str]]) -> type[asyncio.Protocol]:
    """What uvicorn takes as its protocol of HTTP (``Config(http=…)``). ``front`` gives the socket of gRPC."""

    def made(
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        return Mux(front, config, server_state, app_state, _loop)

    return cast("type[asyncio.Protocol]", made)
