"""``tiphys server``."""

from __future__ import annotations

from pathlib import Path

from tests.server.running import server


def test_it_says_how_to_ask_it(tmp_path: Path) -> None:
    with server(tmp_path / "store", "--namespace", "team", "--name", "laptop") as running:
        assert running.url.startswith("https://127.0.0.1:")
        assert running.kubeconfig == tmp_path / "store" / "server" / "kubeconfig"
        found = running.ask("GET", "/api/v1/namespaces", headers={"Host": "laptop"}).json()
        assert [each["metadata"]["name"] for each in found["items"]] == ["team"]
    assert running.process.returncode == 0
