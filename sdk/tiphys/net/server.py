"""An HTTP/1.1 server with limits, timeouts and a drain."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tiphys.errors import ServingError
from tiphys.net.connection import ClientUse, Connection, HttpLimits
from tiphys.net.message import HttpRequest, HttpResponse

if TYPE_CHECKING:
    import socket
    from ssl import SSLContext

__all__ = ["Handler", "HttpLimits", "HttpServer", "cannot_listen"]

_HANDSHAKE = 10.0  # seconds, as for the head of a request

Handler = Callable[[HttpRequest], "HttpResponse | Awaitable[HttpResponse]"]


def cannot_listen(host: str, port: int, error: Exception) -> ServingError:
    """TIP510."""
    number = getattr(error, "errno", None)
    return ServingError(
        "TIP510",
        f"Cannot listen on {host}:{port}.",
        cause=os.strerror(number) if number else str(error),
        fix="Stop what uses this address, or choose another port (0 takes a free one).",
    )


class HttpServer:
    """Serves ``handler`` on one address.

    The handler returns a :class:`HttpResponse` or an awaitable of one. Whatever it raises becomes a 500 and is
    given to ``on_error``.
    """

    def __init__(
        self,
        handler: Handler,
        host: str,
        port: int,
        *,
        limits: HttpLimits | None = None,
        on_error: Callable[[BaseException], None] | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        self.handler = handler
        self.tls = tls
        self.host = host
        self.port = port
        self.limits = limits or HttpLimits()
        self.on_error = on_error
        self.draining = False
        self.retiring = False
        """Connections are still taken, and each is closed after its next answer."""
        self.buffered = 0
        self.busy = 0
        """Requests that have come and are not answered."""
        self._server: asyncio.Server | None = None
        self._others: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._clients: dict[str, ClientUse] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event | None = None

    async def start(self) -> None:
        """Bind and listen. Port 0 takes a free one; :attr:`port` says which.

        Raises ServingError TIP510 when the address cannot be bound.
        """
        await self.bind()
        await self.listen()

    async def bind(self) -> None:
        """Take the address; connections are refused until :meth:`listen`. Raises ServingError TIP510."""
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._empty = asyncio.Event()
        try:
            self._server = await loop.create_server(
                lambda: Connection(self, loop),
                self.host,
                self.port,
                backlog=1024,
                start_serving=False,
                ssl=self.tls,
                ssl_handshake_timeout=_HANDSHAKE if self.tls is not None else None,
            )
        except OSError as error:
            raise cannot_listen(self.host, self.port, error) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def listen(self) -> None:
        """Take connections. Raises ServingError TIP510."""
        if self._server is not None:
            try:
                await self._server.start_serving()
            except OSError as error:
                raise cannot_listen(self.host, self.port, error) from error

    async def also(self, listener: socket.socket, tls: SSLContext | None = None) -> None:
        """Take the connections of this socket, too, which is closed at the end. Of a server that listens."""
        loop = self._loop
        server = await loop.create_server(
            lambda: Connection(self, loop),
            sock=listener,
            backlog=1024,
            ssl=tls,
            ssl_handshake_timeout=_HANDSHAKE if tls is not None else None,
        )
        self._others.append(server)

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def stop(self, drain_seconds: float = 10.0) -> bool:
        """Stop accepting, let running requests end, close. True when none had to be cut off."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for other in self._others:
            other.close()
        self._others.clear()
        for connection in list(self._connections):
            connection.drain()
        clean = True
        if self._connections and self._empty is not None:
            self._empty.clear()
            try:
                async with asyncio.timeout(drain_seconds):
                    await self._empty.wait()
            except TimeoutError:
                clean = False
                for connection in list(self._connections):
                    connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self._server = None
        return clean

    # called by connections
    def opened(self, connection: Connection, peer: str) -> ClientUse:
        self._connections.add(connection)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(1.0, self._sweep)
        use = self._clients.setdefault(peer, ClientUse())
        use.connections += 1
        return use

    def closed(self, connection: Connection, peer: str) -> None:
        self._connections.discard(connection)
        use = self._clients[peer]
        use.connections -= 1
        if not use.connections:
            del self._clients[peer]
        if not self._connections and self._empty is not None:
            self._empty.set()

    def _sweep(self) -> None:
        """End what ran out of time. Runs only while there are connections: an idle server never wakes."""
        self._sweeper = None
        now = self._loop.time()
        for connection in list(self._connections):
            if connection.deadline < now:
                connection.expire()
        if self._connections:
            self._sweeper = self._loop.call_later(1.0, self._sweep)
