"""``tiphys server``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.server.running import server
from tiphys.cli import main
from tiphys.training.client import TrainingClient
from tiphys.training.pools import digest_of


def test_it_says_how_to_ask_it(tmp_path: Path) -> None:
    with server(tmp_path / "store", "--namespace", "team", "--name", "laptop") as running:
        assert running.url.startswith("https://127.0.0.1:")
        assert running.kubeconfig == tmp_path / "store" / "server" / "kubeconfig"
        found = running.ask("GET", "/api/v1/namespaces", headers={"Host": "laptop"}).json()
        assert [each["metadata"]["name"] for each in found["items"]] == ["team"]
    assert running.process.returncode == 0


def test_the_training_service_is_in_the_same_process(tmp_path: Path) -> None:
    store = tmp_path / "store"
    words = ("--training", "--training-port", "0", "--training-rest-port", "0")
    with server(store, *words) as running:
        assert running.process.stdout is not None
        running.process.stdout.readline()
        found = re.search(r"gRPC on (\S+), REST on (\S+)", running.process.stdout.readline())
        assert found is not None
        with TrainingClient(found[1]) as client:
            assert [each["name"] for each in client.pools()] == ["default"]
        assert requests.get(f"{found[2]}/v1/pools", timeout=20).status_code == 200
        other = subprocess.run(
            [sys.executable, "-m", "tiphys", "training-service", "--store", str(store), "--port", "0"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert other.returncode == 1
        assert "TIP823" in other.stderr
        assert running.ask("GET", "/version").status_code == 200
    assert running.process.returncode == 0


def test_a_new_token_is_printed_with_what_is_kept_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["server", "--new-token"]) == 0
    token, kept = capsys.readouterr().out.splitlines()
    assert digest_of(token) in kept
    assert token not in kept
