"""The user's own ``argo server`` on the runs of this machine."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.lint.places import argo_binary
from tests.server.running import GATE, server
from tiphys.errors import RefusedError
from tiphys.server.argo_ui import argo_ui


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def test_the_argo_ui_shows_the_runs_to_who_has_the_token(tmp_path: Path) -> None:
    with server(tmp_path / "store") as running:
        name = running.submit(GATE)
        running.until(name, "Suspended")
        with argo_ui(running.kubeconfig, running.token, port=free_port(), program=argo_binary()) as url:

            def get(path: str, token: str) -> bytes:
                request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {token}"})
                with urllib.request.urlopen(request, timeout=20) as answer:
                    found: bytes = answer.read()
                    return found

            assert b"<title>Argo" in get("/", "")
            found = json.loads(get("/api/v1/workflows/argo", running.token))
            assert [item["metadata"]["name"] for item in found["items"]] == [name]
            with pytest.raises(urllib.error.HTTPError) as told:
                get("/api/v1/workflows/argo", "wrong")
            assert told.value.code == 401
            told.value.close()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("{}")
    with (
        socket.create_server(("", 0)) as taken,
        pytest.raises(RefusedError) as told,
        argo_ui(kubeconfig, "t", port=taken.getsockname()[1], program=argo_binary()),
    ):
        raise AssertionError("it cannot listen")
    assert told.value.code == "TIP276"
    assert "--argo-port" in (told.value.fix or "")


def test_without_argo_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RefusedError, match="not on the PATH"), argo_ui(tmp_path / "kubeconfig", "t"):
        pass
