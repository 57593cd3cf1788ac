"""The load balancer as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tiphys.errors import ServingError
from tiphys.serving import BalancerProcess
from tiphys.serving.server import ModelServer

Start = Callable[..., ModelServer]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[BalancerProcess]:
    started = BalancerProcess.start(tmp_path / "control.sock", log=tmp_path / "log")
    with ExitStack() as stack:
        stack.callback(lambda: suppress_stop(started))
        yield started


def suppress_stop(process: BalancerProcess) -> None:
    with suppress(ServingError):
        process.stop()


def ended(pid: int) -> bool:
    """Gone, or a zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_balancers_come_change_and_go(process: BalancerProcess, model_server: Start, ask: Any) -> None:
    server = model_server()
    port = process.apply("one", host="127.0.0.1", port=0, endpoints=[server.address])
    url = f"http://127.0.0.1:{port}"
    assert ask(url, "GET", "/v1/models/m").status == 200
    assert process.apply("one", host="127.0.0.1", port=port, endpoints=[]) == port
    assert ask(url, "GET", "/v1/models/m").status == 503
    assert process.apply("one", host="127.0.0.1", port=port, endpoints=[server.address]) == port
    assert process.drained("one", 1)
    other = process.apply("two", host="127.0.0.1", port=0, endpoints=[server.address], policy="least-request")
    assert ask(f"http://127.0.0.1:{other}", "GET", "/v1/models/m").status == 200
    stats = process.stats()
    assert stats["one"]["url"] == url and stats["one"]["requests"] == 2
    assert stats["two"]["endpoints"][0]["requests"] == 1
    assert process.remove("one") is True
    assert process.remove("one") is False
    assert list(process.stats()) == ["two"]
    with pytest.raises(ConnectionRefusedError):
        ask(url, "GET", "/")


def test_moving_a_balancer_to_another_address(process: BalancerProcess, ask: Any) -> None:
    old = process.apply("one", host="127.0.0.1", port=0)
    new = process.apply("one", host="127.96.0.1", port=0)
    assert ask(f"http://127.96.0.1:{new}", "GET", "/").status == 503
    with pytest.raises(ConnectionRefusedError):
        ask(f"http://127.0.0.1:{old}", "GET", "/")


def test_errors_come_back_as_they_are(process: BalancerProcess) -> None:
    port = process.apply("one", host="127.0.0.1", port=0)
    for options, code in (
        ({"port": port}, "TIP510"),
        ({"port": 0, "policy": "none"}, "TIP511"),
        ({"port": 0, "endpoints": ["x"]}, "TIP512"),
    ):
        with pytest.raises(ServingError) as caught:
            process.apply("two", host="127.0.0.1", **options)  # type: ignore[arg-type]
        assert caught.value.code == code
    assert list(process.stats()) == ["one"]


def test_only_the_user_may_talk_to_it(process: BalancerProcess) -> None:
    assert stat.S_IMODE(process.control.stat().st_mode) == 0o600


def test_start_attaches_to_what_runs_already(process: BalancerProcess) -> None:
    again = BalancerProcess.start(process.control)
    assert again.pid == process.pid
    assert BalancerProcess.attach(process.control).pid == process.pid


def test_it_outlives_the_process_that_started_it(tmp_path: Path, ask: Any) -> None:
    control = tmp_path / "control.sock"
    script = f"""
        from tiphys.serving import BalancerProcess
        process = BalancerProcess.start({str(control)!r})
        print(process.apply("one", host="127.0.0.1", port=0), flush=True)
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    process = BalancerProcess.attach(control)
    try:
        assert ask(f"http://127.0.0.1:{int(done.stdout)}", "GET", "/").status == 503
    finally:
        process.stop()


@pytest.mark.parametrize("how", ["stop", "sigterm"])
def test_it_ends_and_leaves_nothing(process: BalancerProcess, until: Any, how: str) -> None:
    process.apply("one", host="127.0.0.1", port=0)
    if how == "stop":
        process.stop()
    else:
        os.kill(process.pid, signal.SIGTERM)
    until(lambda: ended(process.pid))
    assert not process.control.exists()
    with pytest.raises(ServingError) as caught:
        process.stats()
    assert caught.value.code == "TIP513"


def test_a_new_one_takes_over_the_socket_of_a_killed_one(
    process: BalancerProcess, tmp_path: Path, until: Any
) -> None:
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: ended(process.pid))
    fresh = BalancerProcess.start(process.control)
    assert fresh.pid != process.pid
    fresh.stop()


def test_a_control_path_longer_than_a_unix_socket_may_have(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 150)
    process = BalancerProcess.start(folder / "control.sock")
    try:
        assert BalancerProcess.attach(folder / "control.sock").stats() == {}
    finally:
        process.stop()


def test_it_says_why_it_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "control.sock").mkdir()
    with pytest.raises(ServingError) as caught:
        BalancerProcess.start(tmp_path / "control.sock")
    assert caught.value.code == "TIP514"
    assert "control.sock" in caught.value.cause


def test_nonsense_on_the_control_socket(process: BalancerProcess) -> None:
    import socket

    for line in (b"nonsense\n", b"[1]\n", b'{"op": "fly"}\n', b'{"op": "remove"}\n', b"\xff\n"):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(process.control))
            client.sendall(line)
            answer = json.loads(client.recv(65536))
        assert answer["ok"] is False and answer["error"]["code"] == "TIP515"
    assert process.stats() == {}


def test_calls_are_balanced_beside_requests_under_the_same_control(process: BalancerProcess) -> None:
    grpc = pytest.importorskip("grpc")
    from tests.serving.balancer.test_calls import PREDICT, Replica

    replica = Replica("only")
    how: dict[str, Any] = {"host": "127.0.0.1", "protocol": "grpc"}
    port = process.apply("calls", port=0, endpoints=[], **how)
    assert process.apply("calls", port=port, endpoints=[replica.address], **how) == port
    assert process.drained("calls", 1) and process.stats() == {}
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert channel.unary_unary(PREDICT)(b"x", timeout=20) == b"only:x"
    assert process.apply("calls", port=process.apply("other", port=0, **how), **{**how, "host": "127.0.0.2"})
    assert process.remove("calls") and not process.remove("calls")
    with pytest.raises(ServingError, match="TIP510"):
        process.apply("taken", port=replica.port, **how)
    replica.die()
