"""One port for both protocols."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.lint.places import argo_binary
from tests.server.rpc.echo import Echo, echo
from tests.server.running import server


@pytest.fixture(scope="module")
def there() -> Iterator[Echo]:
    with echo(argo_binary()) as found:
        yield found


def test_http_and_grpc_have_one_port(there: Echo) -> None:
    asked = http.client.HTTPConnection("127.0.0.1", there.port, timeout=10)
    with contextlib.closing(asked):
        for _ in range(2):  # the second on the same connection
            asked.request("GET", "/api/v1/version")
            assert asked.getresponse().read() == b'{"version":"v4.0.5"}'
    with grpc.insecure_channel(f"127.0.0.1:{there.port}") as channel:
        answer = channel.unary_unary("/info.InfoService/GetVersion")(b"", timeout=10)
    assert b"v4.0.5" in answer


def test_a_request_that_comes_in_pieces_is_one(there: Echo) -> None:
    """Also where it begins as HTTP/2 does."""
    with socket.create_connection(("127.0.0.1", there.port), timeout=10) as slow:
        for part in (b"P", b"O", b"ST /api/v1/version HTT", b"P/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"):
            slow.sendall(part)
            time.sleep(0.02)
        assert slow.recv(100).startswith(b"HTTP/1.1 200")


def test_what_is_neither_is_refused(there: Echo) -> None:
    with socket.create_connection(("127.0.0.1", there.port), timeout=10) as strange:
        strange.sendall(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
        assert strange.recv(100).startswith(b"HTTP/1.1 400")


def test_with_tls_http_is_preferred_and_grpc_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.path.dirname(argo_binary()), prepend=os.pathsep)
    with server(tmp_path / "store") as running:
        host, _, port = running.url.removeprefix("https://").partition(":")
        context = ssl.create_default_context(cafile=running.certificate)
        for offered, chosen in ((["h2", "http/1.1"], "http/1.1"), (["h2"], "h2"), (["http/1.1"], "http/1.1")):
            context.set_alpn_protocols(offered)
            with (
                socket.create_connection((host, int(port)), timeout=10) as plain,
                context.wrap_socket(plain, server_hostname=host) as secure,
            ):
                assert secure.selected_alpn_protocol() == chosen
        credentials = grpc.ssl_channel_credentials(Path(running.certificate).read_bytes())
        with grpc.secure_channel(f"{host}:{port}", credentials) as channel:
            call = channel.unary_unary("/workflow.WorkflowService/ListWorkflows")
            with pytest.raises(grpc.RpcError) as told:
                call(b"\n\x04argo", timeout=20)
    assert told.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_the_end_of_a_server_is_the_end_of_its_connections() -> None:
    with echo(argo_binary()) as there:
        silent = socket.create_connection(("127.0.0.1", there.port), timeout=20)
        channel = grpc.insecure_channel(f"127.0.0.1:{there.port}")
        stream = channel.unary_stream("/workflow.WorkflowService/WatchWorkflows")(b"\n\x04argo", timeout=30)
        next(stream)
    with silent:
        assert silent.recv(1) == b""
    with pytest.raises(grpc.RpcError):
        list(stream)
    assert there.gone.is_set()
    channel.close()
