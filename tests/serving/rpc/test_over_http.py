"""gRPC without grpcio, at a replica: its bytes. (The official clients ask it by HAProxy: ``test_grpc``,
``test_inference`` and ``test_haproxy_calls``.)"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.serving.test_grpc import PREDICT, spec, x
from tests.serving.test_http import read_all
from tiphys.net import HttpLimits
from tiphys.net.protobuf import message_map
from tiphys.serving.balancer.pin import VersionPin
from tiphys.serving.model.manager import ModelConfig
from tiphys.serving.rpc import messages
from tiphys.serving.rpc.frames import framed
from tiphys.serving.server import ModelServer

Start = Callable[..., ModelServer]


def send(
    server: ModelServer, body: bytes, path: str = PREDICT, **headers: str
) -> tuple[dict[str, str], bytes]:
    """The head and the rest of an answer."""
    host, _, port = server.address.partition(":")
    named = {"content-type": "application/grpc", "te": "trailers", **headers}
    lines = [f"POST {path} HTTP/1.1", "host: x", "connection: close", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in named.items()]
    with closing(socket.create_connection((host, int(port)), timeout=20)) as client:
        client.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        head, _, rest = read_all(client).partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    assert first == "HTTP/1.1 200 OK"
    return {name.lower(): value for name, _, value in (each.partition(": ") for each in fields)}, rest


def values(rest: bytes) -> list[float]:
    """Of a whole answer: its one chunk, and its trailers."""
    size, _, rest = rest.partition(b"\r\n")
    chunk, trailers = rest[: int(size, 16)], rest[int(size, 16) :]
    assert trailers == b"\r\n0\r\ngrpc-status: 0\r\n\r\n"
    assert chunk[:5] == framed(chunk[5:])[:5]
    (y,) = message_map(memoryview(chunk[5:]), 1).values()
    return list(messages.read_tensor(y).values)


def test_a_call_is_answered_with_trailers_and_an_error_without_a_body(model_server: Start) -> None:
    server = model_server()
    head, rest = send(server, framed(spec() + x(1, 2, 5)))
    assert values(rest) == [2.5, 3.0, 4.5]
    assert head["content-type"] == "application/grpc" and head["transfer-encoding"] == "chunked"
    head, rest = send(server, framed(spec("other") + x(1)))
    assert (head["grpc-status"], head["content-length"], rest) == ("5", "0", b"")
    assert head["grpc-message"] == "Servable not found for request: Latest(other)"


@pytest.mark.parametrize(
    ("path", "body", "headers", "code", "said"),
    [
        ("/a.B/C", framed(b""), {}, 12, "Method not found!"),
        ("/", framed(b""), {}, 12, "Method not found!"),
        (PREDICT, b"", {}, 12, "none came"),
        (PREDICT, framed(b"a")[:-1], {}, 13, "cut off"),
        (PREDICT, framed(b"\xff\xff\xff"), {}, 13, "Failed to parse the request"),
        (PREDICT, framed(spec() + b"\x78\x01" * 5000), {}, 3, "fields"),
        (PREDICT, framed(spec() + x(1)), {"grpc_timeout": "nonsense"}, 13, "grpc-timeout"),
        (PREDICT, b"\1" + framed(b"abc")[1:], {"grpc_encoding": "br"}, 12, "compressed by 'br'"),
        (PREDICT, b"\0\0\0\xff\xff" + bytes(3000), {}, 8, "too large"),
    ],
)  # fmt: skip
def test_one_clear_error_and_the_next_is_answered(
    model_server: Start, path: str, body: bytes, headers: dict[str, str], code: int, said: str
) -> None:
    server = model_server(limits=HttpLimits(body_bytes=20_000))
    head, rest = send(server, body, path, **headers)
    assert int(head["grpc-status"]) == code and said in head["grpc-message"] and rest == b""
    assert values(send(server, framed(spec() + x(1)))[1]) == [2.5]


def test_the_callers_deadline_counts(model_server: Start, add_version: Callable[..., Path]) -> None:
    add_version(1, delay=1.0)
    head, _ = send(model_server(), framed(spec() + x(1)), grpc_timeout="100m")
    assert head["grpc-status"] == "4"


def test_a_bug_is_told_as_one_and_nothing_of_it(
    model_server: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> bytes:
        raise RuntimeError("secret")

    monkeypatch.setattr(messages, "predict_response", broken)
    head, _ = send(model_server(), framed(spec() + x(1)))
    assert (head["grpc-status"], head["grpc-message"]) == ("2", "Internal error: RuntimeError")
    assert "secret" in caplog.text


def test_who_names_no_version_gets_the_one_that_the_balancer_names(
    model_server: Start, add_version: Callable[..., Path], tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        add_version(number, offset=float(number))
    models = [ModelConfig("m", tmp_path / "model", latest=0, labels={"next@7": 1})]
    server = model_server(models=models)
    asked = framed(spec() + x(0))
    assert values(send(server, asked)[1]) == [3.0]
    assert values(send(server, asked, x_tiphys_pin=VersionPin("m", 2).names["header"])[1]) == [2.0]
    named = framed(spec(version=3) + x(0))
    assert values(send(server, named, x_tiphys_pin=VersionPin("m", 2).names["header"])[1]) == [3.0]
    labelled = framed(spec(label="next") + x(0))
    assert values(send(server, labelled, x_tiphys_pin=VersionPin("m", "@7").names["header"])[1]) == [1.0]
    assert values(send(server, asked, x_tiphys_pin="nonsense")[1]) == [3.0]


def test_health_and_what_is_counted(model_server: Start) -> None:
    server = model_server()
    _, rest = send(server, framed(b""), "/grpc.health.v1.Health/Check")
    assert framed(b"\x08\x01") in rest
    assert send(server, framed(b"\x0a\x01x"), "/grpc.health.v1.Health/Check")[0]["grpc-status"] == "5"
    send(server, framed(spec() + x(1)))
    assert server._server is not None and server._server._busy() == 0

    async def page() -> str:
        assert server._server is not None
        return server._server.api.metrics.page(server.manager).decode()

    counted = server.run(page())
    assert 'API="Predict",entrypoint="GRPC"' in counted


def test_grpcio_is_not_needed() -> None:
    program = (
        "import sys; sys.modules['grpc'] = None; import tiphys.serving.server, tiphys.serving.local;"
        "assert not any(each.startswith('grpc.') for each in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
