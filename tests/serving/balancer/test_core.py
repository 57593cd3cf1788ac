"""Calls of gRPC that come to the built-in balancer as HTTP/1.1."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

from tiphys.net import HttpResponse
from tiphys.serving import Guard
from tiphys.serving.balancer import Settings

Ask = Callable[..., Any]
PREDICT = "/tensorflow.serving.PredictionService/Predict"
CALL = {"Content-Type": "application/grpc"}


def test_calls_of_grpc_come_through_with_their_trailers(replica: Any, balancer: Any) -> None:
    a = replica("a")
    a.answer = lambda request: HttpResponse(
        200, b"x" * 70_000, "application/grpc", trailers=((b"grpc-status", b"0"),)
    )
    with closing(socket.create_connection(("127.0.0.1", balancer(a).port), timeout=20)) as client:
        for _ in range(2):
            client.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            came = b""
            while not came.endswith(b"\r\n0\r\ngrpc-status: 0\r\n\r\n"):
                came += client.recv(65536)
            assert came.count(b"HTTP/1.1 200 OK") == came.lower().count(b"grpc-status") == 1


def test_calls_of_grpc_are_told_of_errors_as_they_read_them(replica: Any, balancer: Any, ask: Ask) -> None:
    a = replica("a")

    def told(url: str, path: str = PREDICT) -> tuple[int, str]:
        answer = ask(url, "POST", path, b"", CALL)
        assert (answer.status, answer.body) == (200, b"")
        return int(answer.headers["grpc-status"]), answer.headers["grpc-message"]

    assert told(balancer(a, settings=Settings(guard=Guard(token="t"))).url) == (
        16,
        "a token is needed: Authorization: Bearer TOKEN",
    )
    empty = balancer(settings=Settings(hold=0.0))
    code, said = told(empty.url)
    assert code == 14 and "No endpoint available" in said and empty.stats()["errors"] == 1
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = balancer(settings=Settings(timeout=0.2))
        slow.set_endpoints([f"127.0.0.1:{silent.getsockname()[1]}"])
        code, said = told(slow.url)
        assert code == 4 and "No answer in time" in said
