"""The client goes on over restarts, and what is sent twice is one job."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import pytest

import tiphys.training
from tests.training.running import algorithm, running
from tiphys.errors import TrainingServiceError
from tiphys.training.client import TrainingClient


def test_what_the_service_says_reaches_python(tmp_path: Path) -> None:
    with running(tmp_path) as found, found.client() as client:
        with pytest.raises(TrainingServiceError, match="there is no algorithm 'cnn'") as caught:
            client.train("cnn")
        assert (caught.value.code, "tiphys algorithms" in caught.value.fix) == ("TIP807", True)
        made = client.create_algorithm(algorithm())
        assert (made.version, client.algorithms(), client.algorithms("cnn")) == (1, [made], [made])
        job = client.train("cnn", parameters={"epochs": 3}, request_id="mine")
        assert client.train("cnn", parameters={"epochs": "3"}, request_id="mine").id == job.id
        assert client.train("cnn").id != job.id
        with pytest.raises(TrainingServiceError) as caught:
            client.wait(job.id, timeout=0.05)
        assert caught.value.code == "TIP827"
        assert client.cancel(job.id).id == job.id
        assert [each.id for each in client.list()] == [2, 1]
        assert client.pools()[0]["name"] == "default"


@pytest.mark.parametrize("number", [-(2**31) - 1, 2**31, 2**70, -1, 0])
def test_a_number_that_no_job_has(tmp_path: Path, number: int) -> None:
    with running(tmp_path) as found, found.client() as client:
        for call in (
            client.status,
            client.cancel,
            lambda each: [*client.watch(each)],
            lambda each: [*client.logs(each)],
        ):
            with pytest.raises(TrainingServiceError) as caught:
                call(number)
            assert caught.value.code in ("TIP806", "TIP821")


def test_what_no_message_carries_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as found, found.client() as client:
        for wrong in ({"priority": 2**40}, {"name": "\ud800"}):
            with pytest.raises(TrainingServiceError) as caught:
                client.train("cnn", **wrong)  # type: ignore[arg-type]
            assert caught.value.code == "TIP821"


def test_nobody_answers() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens on it
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with TrainingClient(address, retry=0.1) as client, pytest.raises(TrainingServiceError) as caught:
            client.pools()
        assert caught.value.code == "TIP825" and address in str(caught.value)


def test_a_create_whose_answer_was_lost_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red before: the second try was told that there is one of the name."""
    with running(tmp_path) as found, found.client(retry=5.0) as client:
        real, lost = client._stub.CreateAlgorithmMapping, []

        class Lost(grpc.RpcError):
            def code(self) -> grpc.StatusCode:
                return grpc.StatusCode.UNAVAILABLE

        def once_lost(*args: object, **kwargs: object) -> object:
            made = real(*args, **kwargs)
            if not lost:
                lost.append(made)
                raise Lost
            return made

        monkeypatch.setattr(client._stub, "CreateAlgorithmMapping", once_lost)
        assert client.create_algorithm(algorithm()).version == 1
        assert len(lost) == 1
        with pytest.raises(TrainingServiceError) as caught:
            client.create_algorithm(algorithm())
        assert caught.value.code == "TIP805"


def test_address_and_token_are_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIPHYS_TRAINING", "127.0.0.1:9")
    monkeypatch.setenv("TIPHYS_TRAINING_TOKEN", "secret")
    with tiphys.training.Client() as client:
        assert client.address == "127.0.0.1:9"
        assert client._headers == [("authorization", "Bearer secret")]


def start(store: Path, port: int) -> subprocess.Popen[bytes]:
    words = [
        "training-service",
        "--store",
        str(store),
        "--port",
        str(port),
        "--rest-port",
        "0",
        "--image",
        "*=host",
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "tiphys", *words],
        cwd=store, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def test_no_request_fails_and_no_job_is_doubled_over_kills(tmp_path: Path) -> None:
    """benchmarks/training_service.py does the same a hundred times."""
    (tmp_path / "training.toml").write_text("[pools.default]\njobs = 1\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    service = start(tmp_path, port)
    failed: list[TrainingServiceError] = []
    numbers: list[int] = []
    over = threading.Event()

    def ask() -> None:
        with TrainingClient(f"127.0.0.1:{port}", retry=60) as client:
            while not over.is_set():
                try:
                    numbers.append(client.train("wait").id)
                    client.status(numbers[-1])
                except TrainingServiceError as error:
                    failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    try:
        with TrainingClient(f"127.0.0.1:{port}", retry=60) as client:
            client.create_algorithm(
                tiphys.training.Algorithm("wait", image="x", command=("sh", "-c", "sleep 600"))
            )
            for thread in threads:
                thread.start()
            for _ in range(2):
                known = len(numbers)
                while len(numbers) < known + 5:
                    time.sleep(0.01)
                os.kill(service.pid, signal.SIGKILL)
                service.wait()
                service = start(tmp_path, port)
            client.pools()
            over.set()
            for thread in threads:
                thread.join()
            jobs = {each.id for each in client.list(limit=1000)}
            for number in sorted(jobs, reverse=True):
                client.cancel(number)
            for number in jobs:
                client.wait(number, timeout=30)
    finally:
        over.set()
        service.terminate()
        service.wait()
    assert not failed
    assert len(numbers) == len(set(numbers)) and set(numbers) == jobs


def test_without_grpc_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.delitem(sys.modules, "tiphys.training.client")
    with pytest.raises(TrainingServiceError, match="not installed") as caught:
        tiphys.training.Client()
    assert caught.value.code == "TIP826"
    assert "tiphys[service]" in caught.value.fix
