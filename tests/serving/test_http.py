"""HTTP itself: what is malformed, too large or too slow; keep-alive, pipelining, draining."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiphys.errors import ServingError
from tiphys.net import HttpLimits, HttpRequest, HttpResponse, HttpServer
from tiphys.serving.balancer.facade import LoopThread


class Echo:
    """A server that says what it got."""

    def __init__(self, limits: HttpLimits | None = None) -> None:
        self.errors: list[BaseException] = []
        self.entered = threading.Event()
        self.release: Any = None
        self.thread = LoopThread("echo")
        self.server = HttpServer(self.answer, "127.0.0.1", 0, limits=limits, on_error=self.errors.append)
        self.thread.run(self.server.start())

    def answer(self, request: HttpRequest) -> Any:
        if request.path == "/wait":
            return self.wait()
        if request.path == "/bug":
            raise RuntimeError("a bug")
        return HttpResponse(
            200, f"{request.method} {request.target} {len(request.body)}".encode(), "text/plain"
        )

    async def wait(self) -> HttpResponse:
        import asyncio

        self.release = asyncio.Event()
        self.entered.set()
        await self.release.wait()
        return HttpResponse(200, b"waited", "text/plain")

    def let_go(self) -> None:
        self.thread.loop.call_soon_threadsafe(self.release.set)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=20)

    def send(self, data: bytes) -> bytes:
        """Send bytes, and read until the server closes."""
        with closing(self.connect()) as client:
            client.sendall(data)
            return read_all(client)

    def close(self) -> None:
        self.thread.run(self.server.stop(0.1))
        self.thread.close()


def read_all(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


@pytest.fixture
def make() -> Iterator[Callable[..., Echo]]:
    servers: list[Echo] = []

    def start(limits: HttpLimits | None = None) -> Echo:
        servers.append(Echo(limits))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def echo(make: Callable[..., Echo]) -> Echo:
    return make()


CLOSE = b"Host: x\r\nConnection: close\r\n"


def status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer[9:12])


def test_a_request(echo: Echo) -> None:
    answer = echo.send(b"GET /a?b=c HTTP/1.1\r\n" + CLOSE + b"\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"GET /a?b=c 0"
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert b"Content-Type: text/plain" in lines and b"Content-Length: 12" in lines
    assert any(line.startswith(b"Date: ") and line.endswith(b" GMT") for line in lines)


def test_requests_one_after_another_and_all_at_once(echo: Echo) -> None:
    first = b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
    second = b"POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    third = b"GET /3 HTTP/1.1\r\n" + CLOSE + b"\r\n"
    answer = echo.send(first + second + third)
    assert [answer.index(text) for text in (b"GET /1 0", b"POST /2 3", b"GET /3 0")] == sorted(
        answer.index(text) for text in (b"GET /1 0", b"POST /2 3", b"GET /3 0")
    )


def test_pipelined_requests_wait_for_the_one_before(echo: Echo) -> None:
    with closing(echo.connect()) as client:
        client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert echo.entered.wait(10)
        echo.let_go()
        answer = read_all(client)
    assert answer.index(b"waited") < answer.index(b"GET /next 0")


def test_chunked_bodies_and_100_continue(echo: Echo) -> None:
    answer = echo.send(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
        + CLOSE
        + b"\r\n4\r\nabcd\r\n3;x=y\r\nefg\r\n0\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert answer.endswith(b"POST / 7")


def test_a_body_in_many_pieces(echo: Echo) -> None:
    with closing(echo.connect()) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n" + CLOSE + b"\r\n")
        for byte in b"abcde":
            client.sendall(bytes([byte]))
        assert read_all(client).endswith(b"POST / 5")


def test_http_1_0(echo: Echo) -> None:
    assert b"Connection: close" in echo.send(b"GET / HTTP/1.0\r\n\r\n")
    with closing(echo.connect()) as client:
        client.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert b"Connection: keep-alive" in client.recv(65536)


def test_head_has_a_length_and_no_body(echo: Echo) -> None:
    answer = echo.send(b"HEAD /abc HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert b"Content-Length: 11" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_an_upgrade_is_not_taken(echo: Echo) -> None:
    answer = echo.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert status(answer) == 200 and b"Connection: close" in answer


def test_a_client_that_closed_its_sending_side_gets_its_answer(echo: Echo) -> None:
    with closing(echo.connect()) as client:
        client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert echo.entered.wait(10)
        echo.let_go()
        assert read_all(client).endswith(b"waited")


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nName : space\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",  # the beginning of TLS
    ],
)
def test_malformed_requests_get_400_and_the_connection_ends(echo: Echo, data: bytes) -> None:
    answer = echo.send(data)
    assert status(answer) in (400, 501)
    assert b"Connection: close" in answer
    assert b"200 OK" not in answer
    assert echo.errors == []


def test_unknown_methods_are_501(echo: Echo) -> None:
    assert status(echo.send(b"BREW / HTTP/1.1\r\n\r\n")) == 501


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(min_size=1, max_size=300))
def test_any_bytes_leave_the_server_alive(echo: Echo, data: bytes) -> None:
    with closing(echo.connect()) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        answer = read_all(client)
    assert answer == b"" or status(answer) in (200, 400, 431, 501)
    assert echo.errors == []
    assert status(echo.send(b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")) == 200


def test_headers_that_are_too_large(make: Callable[..., Echo]) -> None:
    echo = make(HttpLimits(header_bytes=1000))
    whole = b"GET / HTTP/1.1\r\nA: " + b"x" * 2000 + b"\r\n\r\n"
    assert status(echo.send(whole)) == 431
    assert status(echo.send(b"GET / HTTP/1.1\r\nA: " + b"x" * 2000)) == 431  # never ends
    assert status(echo.send(b"GET /" + b"x" * 2000)) == 431


def test_bodies_that_are_too_large(make: Callable[..., Echo]) -> None:
    echo = make(HttpLimits(body_bytes=10))
    assert status(echo.send(b"POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n")) == 413
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nabcdefgh\r\n8\r\nabcdefgh\r\n"
    assert status(echo.send(chunked)) == 413
    huge = b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"
    assert status(echo.send(huge)) in (400, 413)


def test_a_proxy_is_told_at_the_end_of_a_body_that_is_too_large(make: Callable[..., Echo]) -> None:
    """One that ends HTTP/2 gives up a request that is answered before its end, and its client learns nothing."""
    echo = make(HttpLimits(body_bytes=10, refused_late=True))
    with closing(echo.connect()) as client:
        client.sendall(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(100):
            client.sendall(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert echo.server.buffered == 0
        client.settimeout(20)
        client.sendall(b"0\r\n\r\n")
        assert status(read_all(client)) == 413
    impatient = make(HttpLimits(body_bytes=10, body_grace=0.1, refused_late=True))
    endless = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + b"x" * 20
    assert status(impatient.send(endless)) == 413


def test_fields_behind_a_body_are_no_headers(make: Callable[..., Echo]) -> None:
    """They come when whoever stands before this has looked at the headers."""
    echo = make()
    echo.server.handler = lambda request: HttpResponse(200, repr(request.headers).encode(), "text/plain")
    answer = echo.send(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nA: 1\r\n"
        + CLOSE
        + b"\r\n1\r\nx\r\n0\r\nB: 2\r\n\r\n"
    )
    assert b"(b'a', b'1')" in answer and b"b'b'" not in answer


def test_trailers_come_after_the_body(make: Callable[..., Echo]) -> None:
    echo = make()
    echo.server.handler = lambda request: HttpResponse(
        200, b"x" * int(request.path[1:]), "text/plain", trailers=((b"status", b"0"), (b"b", b"1"))
    )
    behind = b"\r\n0\r\nstatus: 0\r\nb: 1\r\n\r\n"
    for size in (1, 100_000):
        head, _, body = echo.send(f"GET /{size} HTTP/1.1\r\n".encode() + CLOSE + b"\r\n").partition(
            b"\r\n\r\n"
        )
        assert b"Transfer-Encoding: chunked" in head and b"Content-Length" not in head
        assert body == f"{size:x}\r\n".encode() + b"x" * size + behind
    assert echo.send(b"GET /0 HTTP/1.1\r\n" + CLOSE + b"\r\n").endswith(b"\r\n\r\n" + behind[2:])
    assert echo.send(b"HEAD /3 HTTP/1.1\r\n" + CLOSE + b"\r\n").endswith(b"Connection: close\r\n\r\n")
    assert echo.send(b"GET /3 HTTP/1.0\r\n\r\n").endswith(
        b"Content-Length: 3\r\nConnection: close\r\n\r\nxxx"
    )


def test_bodies_that_are_too_large_together(make: Callable[..., Echo]) -> None:
    echo = make(HttpLimits(buffered_bytes=1000, client_share=1.0))
    head = b"POST / HTTP/1.1\r\nContent-Length: 800\r\n" + CLOSE + b"\r\n"
    for _ in range(5):  # what was answered is free again
        assert echo.send(head + b"x" * 800).endswith(b"POST / 800")
    with closing(echo.connect()) as held:
        held.sendall(b"GET /wait HTTP/1.1\r\nContent-Length: 700\r\n\r\n" + b"x" * 700)
        assert echo.entered.wait(10)
        assert status(echo.send(head + b"x" * 800)) == 503
        echo.let_go()
        assert held.recv(65536).endswith(b"waited")
    assert echo.send(head + b"x" * 800).endswith(b"POST / 800")


def test_a_body_larger_than_one_read_is_not_taken_for_headers(echo: Echo) -> None:
    size = 3_000_000
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n" % size
    assert echo.send(head + CLOSE + b"\r\n" + b"x" * size).endswith(b"POST / 3000000")


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"GET / HTTP/1.1\r\nHos",
        b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc",
    ],
)
def test_what_comes_too_slowly_is_cut_off(make: Callable[..., Echo], start: bytes) -> None:
    echo = make(HttpLimits(header_timeout=0.05, body_grace=0.05, body_rate=1e9, idle_timeout=0.05))
    answer = echo.send(start)
    assert answer == b"" if not start else status(answer) == 408


def test_idle_connections_are_closed(make: Callable[..., Echo]) -> None:
    echo = make(HttpLimits(idle_timeout=0.05))
    assert echo.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"GET / 0")


def test_too_many_connections(make: Callable[..., Echo]) -> None:
    echo = make(HttpLimits(connections=1))
    with closing(echo.connect()) as first:
        first.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert first.recv(65536)
        with closing(echo.connect()) as second:
            assert status(read_all(second)) == 503


def test_one_client_cannot_have_it_all(make: Callable[..., Echo]) -> None:
    """Others are served beside one that has as many connections, or sends as much, as it may."""
    echo = make(HttpLimits(connections=8, buffered_bytes=6000, client_share=0.5))

    def other() -> socket.socket:
        return socket.create_connection(
            ("127.0.0.1", echo.server.port), timeout=20, source_address=("127.0.0.2", 0)
        )

    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(closing(echo.connect())).sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with closing(echo.connect()) as one_more:
            assert b"of one client" in read_all(one_more)
        with closing(other()) as client:
            client.sendall(b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")
            assert status(read_all(client)) == 200
    head = b"POST / HTTP/1.1\r\nContent-Length: 1900\r\n" + CLOSE + b"\r\n"
    with closing(echo.connect()) as first, closing(echo.connect()) as second, closing(other()) as third:
        first.sendall(head + b"x" * 1899)
        time.sleep(0.2)  # it has come
        second.sendall(head + b"x" * 1900)
        assert b"by one client" in read_all(second)
        third.sendall(head + b"x" * 1900)
        assert status(read_all(third)) == 200
        first.sendall(b"x")
        assert status(read_all(first)) == 200
    with closing(echo.connect()) as again:  # what was held is free again
        again.sendall(head + b"x" * 1900)
        assert status(read_all(again)) == 200


def test_a_bug_in_the_handler_is_a_500_without_its_text(echo: Echo) -> None:
    answer = echo.send(b"GET /bug HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert status(answer) == 500
    assert b"a bug" not in answer
    assert [type(error) for error in echo.errors] == [RuntimeError]


def test_stop_lets_a_running_request_end_and_takes_no_new_ones(echo: Echo) -> None:
    with closing(echo.connect()) as client, closing(echo.connect()) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(65536)
        client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert echo.entered.wait(10)
        stopped: list[bool] = []
        stopper = threading.Thread(target=lambda: stopped.append(echo.thread.run(echo.server.stop(20))))
        stopper.start()
        assert idle.recv(1) == b""  # an idle connection is closed at once
        with pytest.raises(ConnectionRefusedError):
            echo.connect()
        echo.let_go()
        answer = read_all(client)
        stopper.join()
    assert answer.endswith(b"waited") and b"Connection: close" in answer
    assert stopped == [True]


def test_stop_cuts_off_what_does_not_end(echo: Echo) -> None:
    with closing(echo.connect()) as client:
        client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert echo.entered.wait(10)
        assert echo.thread.run(echo.server.stop(0.01)) is False


def test_an_address_that_is_taken(echo: Echo) -> None:
    other = HttpServer(echo.answer, "127.0.0.1", echo.server.port)
    with pytest.raises(ServingError) as caught:
        echo.thread.run(other.start())
    assert caught.value.code == "TIP510"
    assert str(echo.server.port) in caught.value.message
    assert caught.value.cause == "Address already in use"
