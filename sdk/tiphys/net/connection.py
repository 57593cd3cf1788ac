"""One client's connection to an :class:`~tiphys.net.server.HttpServer`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

import httptools

from tiphys.frozen import frozen
from tiphys.net.message import HttpRequest, HttpResponse, encode_body, encode_head, error_response

__all__ = ["Connection", "HttpLimits"]


@frozen
class HttpLimits:
    """What one client may ask of the server. Sizes in bytes, times in seconds."""

    header_bytes: int = 32 * 1024
    body_bytes: int = 128 * 1024 * 1024
    connections: int = 4096
    buffered_bytes: int = 1024 * 1024 * 1024
    """Of all request bodies together that are held at one time."""
    client_share: float = 0.5
    """The most of both that one address may have: others are served beside whoever wants it all."""
    header_timeout: float = 10.0
    """From the first byte of a request (or the connection's start) to the end of its headers."""
    body_grace: float = 30.0
    """A body may take this long, and then must have come at ``body_rate`` or faster on average."""
    body_rate: float = 4096.0
    idle_timeout: float = 75.0
    """How long an unused keep-alive connection is kept."""
    write_timeout: float = 60.0
    """How long a client may leave an answer unread."""
    refused_late: bool = False
    """A body that is too large is taken to its end, of which nothing is kept, for ``body_grace`` at most, and refused
    then: for a client that is a proxy, and gives up what is answered earlier."""


@dataclass(slots=True)
class ClientUse:
    """What the connections of one address have: how many they are, and bytes of bodies that are held for them."""

    connections: int = 0
    buffered: int = 0


class ConnectionOwner(Protocol):
    """What a connection needs of its server."""

    handler: Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]]
    limits: HttpLimits
    on_error: Callable[[BaseException], None] | None
    draining: bool
    retiring: bool
    buffered: int
    busy: int

    @property
    def connections(self) -> int: ...

    def opened(self, connection: Connection, peer: str) -> ClientUse: ...

    def closed(self, connection: Connection, peer: str) -> None: ...


class Connection(asyncio.Protocol):
    """A client's connection: requests one after another, each answered before the next is looked at."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_busy",
        "_close_after",
        "_head_bytes",
        "_headers",
        "_headers_done",
        "_held",
        "_keep_alive",
        "_late",
        "_loop",
        "_message_started",
        "_parser",
        "_paused",
        "_peer",
        "_queue",
        "_refused",
        "_server",
        "_started",
        "_task",
        "_transport",
        "_url",
        "_use",
        "deadline",
    )

    def __init__(self, server: ConnectionOwner, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._parser: Any = httptools.HttpRequestParser(self)
        self._queue: deque[tuple[HttpRequest, bool, bool]] = deque()
        self._transport: Any = None
        self._task: asyncio.Task[None] | None = None
        self._busy = self._close_after = self._paused = self._refused = False
        self._message_started = self._headers_done = False
        self._head_bytes = self._body_bytes = self._held = 0
        self._started = 0.0
        self._late: tuple[int, str] | None = None  # how it is refused when its body has ended
        self._url = b""
        self._peer = ""
        self._use = ClientUse()
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self.deadline = inf

    # ---- transport
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        self.deadline = self._loop.time() + self._server.limits.header_timeout
        self._use, limits = self._server.opened(self, self._peer), self._server.limits
        if self._server.draining:
            self._transport.close()
        elif self._server.connections > limits.connections:
            self._refuse(503, "Too many connections.")
        elif self._use.connections > max(1, limits.connections * limits.client_share):
            self._refuse(503, "Too many connections of one client.")

    def connection_lost(self, exc: Exception | None) -> None:
        self.deadline = inf
        if self._task is not None:
            self._task.cancel()
        self._queue.clear()
        self._release()
        if self._busy:
            self._server.busy -= 1
        self._server.closed(self, self._peer)

    def pause_writing(self) -> None:
        self.deadline = self._loop.time() + self._server.limits.write_timeout

    def resume_writing(self) -> None:
        self.deadline = inf if self._busy else self._loop.time() + self._server.limits.idle_timeout

    def eof_received(self) -> bool:
        self._close_after = True
        return self._busy  # a client that only closed its sending side still gets its answer

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if not self._headers_done:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._close_after = True
        except httptools.HttpParserInvalidMethodError:
            self._refuse(501, "Unsupported HTTP method.")
        except httptools.HttpParserError as error:
            if not self._refused:
                self._refuse(400, f"Malformed HTTP request: {error}")
            return
        if not self._headers_done and self._head_bytes > self._server.limits.header_bytes:
            self._refuse(431, f"Request headers are larger than {self._server.limits.header_bytes} bytes.")

    # ---- parser
    def on_message_begin(self) -> None:
        now = self._loop.time()
        self._message_started = True
        self._started = now
        self._url = b""
        self._headers = []
        self._body = []
        self._body_bytes = 0
        if not self._busy:
            self.deadline = now + self._server.limits.header_timeout

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._headers_done:  # what comes after the body is no header (RFC 9110, 6.5.1)
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._headers_done = True
        limits = self._server.limits
        if (
            sum(len(name) + len(value) for name, value in self._headers) + len(self._url)
            > limits.header_bytes
        ):
            self._refuse(431, f"Request headers are larger than {limits.header_bytes} bytes.")
            return
        expect = False
        for name, value in self._headers:
            if name == b"content-length" and int(value) > limits.body_bytes:
                self._refuse(413, f"Request body is larger than {limits.body_bytes} bytes.")
                return
            if name == b"expect" and value.lower() == b"100-continue":
                expect = True
        if expect and not self._busy:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._busy:
            self.deadline = self._loop.time() + limits.body_grace

    def on_body(self, data: bytes) -> None:
        if self._refused or self._late is not None:
            return
        self._body.append(data)
        self._body_bytes += len(data)
        self._held += len(data)
        self._server.buffered += len(data)
        self._use.buffered += len(data)
        limits = self._server.limits
        if self._server.buffered > limits.buffered_bytes:
            self._refuse_body(503, "Too much is being sent to this server at once.")
        elif self._use.buffered > limits.buffered_bytes * limits.client_share:
            self._refuse_body(503, "Too much is being sent by one client at once.")
        elif self._body_bytes > limits.body_bytes:
            self._refuse_body(413, f"Request body is larger than {limits.body_bytes} bytes.")
        elif not self._busy:
            self.deadline = self._started + limits.body_grace + self._body_bytes / limits.body_rate

    def on_message_complete(self) -> None:
        if self._refused:
            return
        if self._late is not None:
            self._refuse(*self._late)
            return
        self._message_started = self._headers_done = False
        self._head_bytes = 0
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        request = HttpRequest(
            self._parser.get_method().decode("latin-1"),
            self._url.decode("latin-1"),
            self._headers,
            body,
            self._peer,
        )
        http10 = self._parser.get_http_version() == "1.0"
        # an upgrade is not taken: the request is answered as it is, then the connection ends
        keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        item = (request, bool(keep_alive), http10)
        if self._busy:
            self._queue.append(item)
            if not self._paused:
                self._paused = True
                self._transport.pause_reading()
        else:
            self._start(item)

    # ---- requests
    def _start(self, item: tuple[HttpRequest, bool, bool]) -> None:
        request, keep_alive, http10 = item
        self._busy = True
        self._server.busy += 1
        self.deadline = inf
        try:
            result = self._server.handler(request)
        except Exception as error:  # noqa: BLE001 - a bug in the handler must not take the server down
            result = self._failed(error)
        if isinstance(result, HttpResponse):
            self._reply(result, request, keep_alive, http10)
        else:
            self._task = self._loop.create_task(self._wait(result, request, keep_alive, http10))

    async def _wait(
        self, result: Awaitable[HttpResponse], request: HttpRequest, keep_alive: bool, http10: bool
    ) -> None:
        try:
            response = await result
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001
            response = self._failed(error)
        self._task = None
        self._reply(response, request, keep_alive, http10)

    def _failed(self, error: Exception) -> HttpResponse:
        if self._server.on_error is not None:
            self._server.on_error(error)
        return error_response(500, f"Internal error: {type(error).__name__}")

    def _reply(self, response: HttpResponse, request: HttpRequest, keep_alive: bool, http10: bool) -> None:
        transport = self._transport
        if transport.is_closing():
            return
        server = self._server
        closing = response.close or self._close_after or server.draining or server.retiring
        keep_alive = keep_alive and not closing
        head = encode_head(response, keep_alive=keep_alive, http10=http10)
        self._busy = False
        server.busy -= 1
        if not self._queue and not self._message_started:
            self._release()
        self.deadline = self._loop.time() + self._server.limits.idle_timeout
        parts = encode_body(response, http10=http10) if request.method != "HEAD" else ()
        if len(response.body) < 65536:
            transport.write(b"".join((head, *parts)))
        else:
            transport.writelines((head, *parts))
        if not keep_alive:
            transport.close()
            self.deadline = self._loop.time() + self._server.limits.write_timeout
            return
        if self._queue:
            self._loop.call_soon(self._next)
        elif self._message_started:
            self.deadline = self._loop.time() + self._server.limits.header_timeout

    def _next(self) -> None:
        if self._queue and not self._busy and not self._transport.is_closing():
            self._start(self._queue.popleft())
        if not self._queue and self._paused:
            self._paused = False
            self._transport.resume_reading()

    def _release(self) -> None:
        """Count what this connection held as free again."""
        self._server.buffered -= self._held
        self._use.buffered -= self._held
        self._held = 0

    # ---- ends
    def _refuse(self, status: int, message: str) -> None:
        """Answer what cannot be served and close: the rest of the stream cannot be trusted."""
        if self._refused:
            return
        self._refused = True
        if self._busy:  # an earlier request of this connection is being answered; it goes first
            self._close_after = True
            return
        self._body = []
        self._release()
        response = error_response(status, message, close=True)
        self._transport.write(encode_head(response, keep_alive=False, http10=False) + response.body)
        self._linger()

    def _refuse_body(self, status: int, message: str) -> None:
        """Refuse what is being sent: at once, or at its end."""
        if not self._server.limits.refused_late:
            self._refuse(status, message)
            return
        self._late = status, message
        self._body = []
        self._release()
        if not self._busy:
            self.deadline = self._loop.time() + self._server.limits.body_grace

    def _linger(self) -> None:
        """Close the sending side, and read on for a moment so that the client can read the answer."""
        self.deadline = self._loop.time() + 2.0
        if self._transport.can_write_eof():
            try:
                self._transport.write_eof()
            except OSError:
                self._transport.close()
        else:
            self._transport.close()

    def expire(self) -> None:
        """Called when the deadline has passed."""
        if self._message_started and not self._refused and not self._busy:
            self._refuse(*self._late or (408, "The request did not arrive in time."))
        elif self._busy or self._refused:
            self._transport.abort()
        else:
            self._transport.close()
            self.deadline = self._loop.time() + 5.0
            if self._transport.get_write_buffer_size():
                self._transport.abort()

    def drain(self) -> None:
        self._close_after = True
        if not self._busy and not self._message_started:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()
