"""The process of the server."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
import requests

from tests.server.running import GATE, server
from tiphys.engine import RunOptions
from tiphys.errors import RefusedError, ServingError
from tiphys.server.process import Address, listening, serve


def test_a_store_has_one_server_and_runs_outlive_it(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with server(store) as first:
        name = first.submit(GATE)
        first.until(name, "Suspended")
        with pytest.raises(RefusedError) as told:
            serve(RunOptions(store=store), Address(port=0))
        assert told.value.code == "TIP278"
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        token = first.token
    with server(store) as second:
        assert second.token == token
        found = second.until(name, "Suspended")
        for node in found["status"]["nodes"].values():  # type: ignore[index]
            if node["type"] == "Suspend":
                node["phase"] = "Succeeded"
        path = f"/apis/argoproj.io/v1alpha1/namespaces/argo/workflows/{name}"
        assert second.ask("PUT", path, json=found).status_code == 200
        second.until(name, "Succeeded")


def test_nobody_asks_without_the_token_or_from_a_page(tmp_path: Path) -> None:
    with server(tmp_path / "store") as running:
        path = "/apis/argoproj.io/v1alpha1/workflows"
        assert running.ask("GET", path).status_code == 200
        assert running.ask("GET", path, headers={"Authorization": "Bearer x"}).status_code == 401
        assert running.ask("GET", path, headers={"Host": "evil.example"}).status_code == 403
        assert running.ask("GET", path, headers={"Origin": "https://evil.example"}).status_code == 403
        sent = {"headers": {"Content-Type": "text/plain"}, "data": "{}"}
        assert running.ask("POST", path, **sent).status_code == 415
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(running.url, timeout=10)


def test_addresses(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as told:
        serve(RunOptions(store=tmp_path), Address(certificate="x"))
    assert told.value.code == "TIP277"
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ServingError) as had:
        serve(RunOptions(store=tmp_path), Address(port=taken.getsockname()[1]))
    assert had.value.code == "TIP510"


def test_a_watch_ends_with_the_server_and_nothing_is_complained_of(tmp_path: Path) -> None:
    """As an answer that is whole, not as one that was cut off."""
    with server(tmp_path / "store") as running:
        watch = running.ask(
            "GET", "/apis/argoproj.io/v1alpha1/namespaces/argo/workflows?watch=true", stream=True
        )
        assert watch.status_code == 200
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
        assert watch.content == b""  # requests raises where the last chunk is missing
        watch.close()


def test_an_answer_does_not_wait_until_the_client_has_acknowledged_its_head() -> None:
    with listening(Address(port=0)) as listener, socket.create_connection(listener.getsockname()):
        taken, _ = listener.accept()
        with taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
