"""The process: one for a store, not reached by others without tokens, and gone in good order."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.fakes import FakePlace
from tiphys.errors import TrainingServiceError
from tiphys.store.layout import Store
from tiphys.training.client import TrainingClient
from tiphys.training.pools import new_token
from tiphys.training.server import check_host, is_private, only_one
from tiphys.training.service import TrainingService


def test_a_store_has_one_service_and_is_free_when_that_has_gone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with only_one(store), pytest.raises(TrainingServiceError) as caught, only_one(store):
        pass
    assert caught.value.code == "TIP823"
    with only_one(store):
        pass


@pytest.mark.parametrize(
    ("host", "private"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("10.1.2.3", False), ("training.example", False), ("", False)],
)  # fmt: skip
def test_who_reaches_an_address(host: str, private: bool) -> None:
    assert is_private(host) == private


def test_others_are_let_in_with_tokens_only(tmp_path: Path) -> None:
    _, digest = new_token()
    for text in ("", f'[pools.vision]\n[users.anna]\npools = ["vision"]\ntoken = "{digest}"\n'):
        (tmp_path / "training.toml").write_text(text or "[pools.vision]\n")
        service = TrainingService(Store(tmp_path), FakePlace())
        try:
            check_host("127.0.0.1", service)
            if text:
                check_host("0.0.0.0", service)
            else:
                with pytest.raises(TrainingServiceError) as caught:
                    check_host("0.0.0.0", service)
                assert caught.value.code == "TIP824" and "--new-token" in caught.value.fix
        finally:
            service.close()


def command(store: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "tiphys", "training-service", "--store", str(store), *words]


def test_it_says_where_it_listens_and_ends_at_sigterm(tmp_path: Path) -> None:
    with subprocess.Popen(
        command(tmp_path, "--port", "0", "--rest-port", "0"), cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as service:
        try:
            assert service.stderr is not None
            found = re.search(r"gRPC on (127\.0\.0\.1:\d+)", service.stderr.readline())
            assert found
            with TrainingClient(found[1], retry=5.0) as client:
                assert client.list() == []
            second = subprocess.run(
                command(tmp_path, "--port", "0", "--rest-port", "0"),
                capture_output=True,
                text=True,
                timeout=20,
            )
            assert (second.returncode, "TIP823" in second.stderr) == (1, True)
        finally:
            service.send_signal(signal.SIGTERM)
            assert service.wait(20) == 0


@pytest.mark.parametrize("which", ["--port", "--rest-port"])
def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path, which: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = {"--port": "0", "--rest-port": "0", which: str(port)}
        done = subprocess.run(
            command(tmp_path, *(word for pair in words.items() for word in pair)),
            capture_output=True, text=True, timeout=20, cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"TIP510: Cannot listen on 127.0.0.1:{port}." in done.stderr and "Traceback" not in done.stderr
    assert "in use" in done.stderr.lower()
