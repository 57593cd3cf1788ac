"""One HTTP/1.1 connection to a server, and a pool of them: what the load balancer sends requests through."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import httptools

from tiphys.net.message import HttpResponse

__all__ = ["ConnectError", "ExchangeError", "Pool"]


class ExchangeError(Exception):
    """An exchange broke. ``reused``: on a connection that had been idle, so most likely closed by its server
    in the meantime. ``answered``: some bytes of an answer had come."""

    def __init__(self, reason: str, *, reused: bool = False, answered: bool = False, timeout: bool = False):
        super().__init__(reason)
        self.reason = reason
        self.reused = reused
        self.answered = answered
        self.timeout = timeout


class ConnectError(ExchangeError):
    """No connection could be made: nothing was sent."""


_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)


class _Exchange(asyncio.Protocol):
    """A connection; carries one request at a time."""

    __slots__ = (
        "_body",
        "_eof_ends",
        "_head_done",
        "_head_only",
        "_headers",
        "_loop",
        "_max_bytes",
        "_parser",
        "_size",
        "_trailers",
        "_transport",
        "_waiter",
        "answered",
        "broken",
        "idle_since",
        "used",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, max_bytes: int) -> None:
        self._loop = loop
        self._max_bytes = max_bytes
        self._transport: Any = None
        self._parser: Any = None
        self._waiter: asyncio.Future[HttpResponse] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._trailers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._eof_ends = self._head_only = self._head_done = False
        self.answered = self.broken = self.used = False
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.broken = True
        self._fail(ExchangeError(str(exc) if exc else "connection closed", answered=self.answered))

    def eof_received(self) -> bool:
        self.broken = True
        if self._eof_ends and self._waiter is not None:
            self._complete()
        return False

    def send(self, data: bytes, *, head_only: bool) -> asyncio.Future[HttpResponse]:
        """Send a request's bytes; the future gives its answer."""
        self._parser = httptools.HttpResponseParser(self)
        self._waiter = self._loop.create_future()
        self._headers, self._trailers, self._body, self._size = [], [], [], 0
        self._eof_ends = self.answered = self._head_done = False
        self._head_only = head_only
        self._transport.write(data)
        return self._waiter

    def close(self) -> None:
        self.broken = True
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:  # bytes that nobody asked for: this connection cannot be trusted
            self.close()
            return
        self.answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ExchangeError(f"malformed answer: {error}", answered=True))
            self.close()

    # ---- parser
    def on_header(self, name: bytes, value: bytes) -> None:
        (self._trailers if self._head_done else self._headers).append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            return
        self._head_done = True
        names = {name for name, _ in self._headers}
        self._eof_ends = b"content-length" not in names and b"transfer-encoding" not in names
        if self._head_only:
            self.broken = True  # the parser would wait for a body that does not come
            self._complete()

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._max_bytes:
            self._fail(ExchangeError(f"answer is larger than {self._max_bytes} bytes", answered=True))
            self.close()
        else:
            self._body.append(data)

    def on_message_complete(self) -> None:
        if 100 <= self._parser.get_status_code() < 200:
            self._headers = []
            return
        if not self._parser.should_keep_alive():
            self.broken = True
        self._complete()

    def _complete(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        drop = _HOP_BY_HOP
        content_type = None
        headers = []
        for name, value in self._headers:
            if name == b"content-type":
                content_type = value.decode("latin-1")
            elif name == b"connection":
                drop = drop | {token.strip().lower() for token in value.split(b",")}
            elif name != b"content-length":
                headers.append((name, value))
        headers = [(name, value) for name, value in headers if name not in drop]
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        status, trailers = self._parser.get_status_code(), self._trailers
        waiter.set_result(HttpResponse(status, body, content_type, headers, trailers=trailers))

    def _fail(self, error: ExchangeError) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            error.reused = self.used
            waiter.set_exception(error)


class Pool:
    """Keep-alive connections to one address."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        connect_timeout: float = 2.0,
        idle_seconds: float = 30.0,
        max_idle: int = 64,
        max_response_bytes: int = 256 * 1024 * 1024,
    ) -> None:
        self.host = host
        self.port = port
        self.connect_timeout = connect_timeout
        self.idle_seconds = idle_seconds
        self.max_idle = max_idle
        self.max_response_bytes = max_response_bytes
        self._idle: deque[_Exchange] = deque()

    async def exchange(
        self, data: bytes, *, timeout: float, head_only: bool = False, fresh: bool = False
    ) -> HttpResponse:
        """Send one request and wait for its whole answer.

        Raises ConnectError when nothing was sent, ExchangeError otherwise.
        """
        loop = asyncio.get_running_loop()
        connection = None if fresh else self._take(loop.time())
        if connection is None:
            connection = await self._connect(loop)
        waiter = connection.send(data, head_only=head_only)
        timer = loop.call_later(timeout, _expire, waiter, timeout)
        try:
            response = await waiter
        except BaseException:
            connection.close()
            raise
        finally:
            timer.cancel()
        if connection.broken:
            connection.close()
        elif len(self._idle) < self.max_idle:
            connection.used = True
            connection.idle_since = loop.time()
            self._idle.append(connection)
        else:
            connection.close()
        return response

    def close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def prune(self, now: float) -> None:
        """Close what has been idle for too long."""
        while self._idle and (self._idle[0].broken or self._idle[0].idle_since < now - self.idle_seconds):
            self._idle.popleft().close()

    def _take(self, now: float) -> _Exchange | None:
        while self._idle:
            connection = self._idle.pop()  # the warmest first
            if not connection.broken and connection.idle_since >= now - self.idle_seconds:
                return connection
            connection.close()
        return None

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> _Exchange:
        try:
            async with asyncio.timeout(self.connect_timeout):
                _, connection = await loop.create_connection(
                    lambda: _Exchange(loop, self.max_response_bytes), self.host, self.port
                )
        except TimeoutError as error:
            raise ConnectError("no connection in time", timeout=True) from error
        except OSError as error:
            raise ConnectError(error.strerror or str(error)) from error
        return connection


def _expire(waiter: asyncio.Future[HttpResponse], timeout: float) -> None:
    if not waiter.done():
        waiter.set_exception(ExchangeError(f"no answer within {timeout:g} s", timeout=True))
