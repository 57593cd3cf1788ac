"""The model server as a process, and several behind a balancer."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tiphys.errors import ServingError
from tiphys.serving import Balancer, ServingClient, serve

FAKE = "--tiphys_loader=tiphys.serving.model.fake:load"
Add = Callable[..., Path]


class Process:
    """A server process; its standard error is read as it comes."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tiphys.serving", "--port=0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TIPHYS_POD_IP": "127.0.0.1", **environment},
        )
        self.lines: list[str] = []
        self._ready = threading.Event()
        self.address = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if match := re.search(r"REST API at (\S+)", line):
                self.address = match[1]
                self._ready.set()
        self._ready.set()

    def ready(self) -> str:
        assert self._ready.wait(60) and self.address, self.lines
        return self.address

    def wait(self) -> int:
        code = self.process.wait(60)
        self._reader.join()
        return code

    def close(self) -> None:
        self.process.kill()
        self.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture
def process() -> Iterator[Callable[..., Process]]:
    with ExitStack() as stack:

        def start(*arguments: str, **environment: str) -> Process:
            made = Process(*arguments, **environment)
            stack.callback(made.close)
            return made

        yield start


@pytest.fixture
def base(add_version: Add) -> Path:
    return add_version(1, offset=1).parent


def arguments(base: Path) -> list[str]:
    return [FAKE, "--model_name=m", f"--model_base_path={base}", "--rest_api_port=0"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(process: Any, base: Path, number: int) -> None:
    server = process(*arguments(base))
    with ServingClient(f"http://{server.ready()}", "m") as client:
        assert client.predict(instances=[0.0]) == [1.0]
    server.process.send_signal(number)
    assert server.wait() == 0


def test_sigterm_lets_a_running_request_end(process: Any, add_version: Add) -> None:
    server = process(*arguments(add_version(1, delay=0.5).parent))
    host, _, port = server.ready().partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=20)) as client:
        body = b'{"instances": [2.0]}'
        client.sendall(
            b"POST /v1/models/m:predict HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        metrics = ServingClient(f"http://{host}:{port}", "m")
        metrics.status()  # the request above has been read: the server works through connections in turn
        metrics.close()
        server.process.send_signal(signal.SIGTERM)
        answer = client.recv(65536)
    assert b"200 OK" in answer and b"3.0" in answer and b"Connection: close" in answer
    assert server.wait() == 0


def test_in_a_pod_requests_are_taken_for_a_moment_after_sigterm(process: Any, base: Path, ask: Any) -> None:
    server = process(*arguments(base), "--tiphys_lame_duck_seconds=3600")
    url = f"http://{server.ready()}"
    assert ask(url, "GET", "/v1/models/m").headers["Connection"] is None
    server.process.send_signal(signal.SIGTERM)
    while ask(url, "GET", "/v1/models/m").headers["Connection"] != "close":
        pass  # the signal is on its way
    server.process.send_signal(signal.SIGTERM)  # told twice: at once
    assert server.wait() == 0


def test_it_finds_new_versions_by_itself(process: Any, base: Path, add_version: Add, until: Any) -> None:
    server = process(*arguments(base), "--file_system_poll_wait_seconds=0.05")
    with ServingClient(f"http://{server.ready()}", "m") as client:
        add_version(2, offset=2)
        until(lambda: client.predict(instances=[0.0]) == [2.0])


def test_it_waits_for_the_first_version_and_listens_only_then(
    process: Any, tmp_path: Path, add_version: Add, until: Any
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = process(
        FAKE,
        "--model_name=m",
        f"--model_base_path={tmp_path / 'model'}",
        f"--rest_api_port={port}",
        "--file_system_poll_wait_seconds=0.05",
    )
    until(lambda: any("cannot read" in line for line in server.lines))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    add_version(1)
    assert server.ready() == f"127.0.0.1:{port}"


def test_it_can_be_stopped_while_it_waits(process: Any, tmp_path: Path, until: Any) -> None:
    server = process(*arguments(tmp_path / "nothing"))
    until(lambda: any("waiting" in line for line in server.lines))
    server.process.send_signal(signal.SIGTERM)
    assert server.wait() == 0


def test_wrong_flags_end_it_with_2(process: Any) -> None:
    server = process("--model_base_pat=/m")
    assert server.wait() == 2
    assert server.lines[0].startswith(
        "unknown argument: --model_base_pat=/m Did you mean '--model_base_path'"
    )
    assert any(line.startswith("usage:") for line in server.lines)


def test_what_cannot_be_served_ends_it_with_1(process: Any, add_version: Add) -> None:
    server = process(*arguments(add_version(1, nonsense=1).parent))
    assert server.wait() == 1
    assert any(line.startswith("TIP516: ") for line in server.lines)
    assert not any("Traceback" in line for line in server.lines)


def test_a_port_in_use_ends_it_with_1(process: Any, base: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        server = process(*arguments(base)[:-1], f"--rest_api_port={port}")
        assert server.wait() == 1
    assert f"TIP510: Cannot listen on 127.0.0.1:{port}." in server.lines


def test_killing_one_of_two_processes_under_load_fails_no_request(
    process: Any, base: Path, load: Any
) -> None:
    first, second = process(*arguments(base)), process(*arguments(base))
    with Balancer("127.0.0.1", 0, endpoints=[first.ready(), second.ready()]) as balancer:
        with load(balancer.url) as traffic:
            traffic.more(50)
            first.process.kill()
            traffic.more(100)
        assert balancer.stats()["errors"] == 0
    assert traffic.failures == []


def test_a_rolling_restart_under_load_fails_no_request(process: Any, base: Path, load: Any) -> None:
    servers = [process(*arguments(base)) for _ in range(2)]
    endpoints = [s.ready() for s in servers]
    with Balancer("127.0.0.1", 0, endpoints=endpoints) as balancer, load(balancer.url) as traffic:
        for index in range(2):
            traffic.more(30)
            fresh = process(*arguments(base))
            old, servers[index] = servers[index], fresh
            fresh.ready()
            balancer.set_endpoints(s.ready() for s in servers)
            assert balancer.drained(10)
            old.process.send_signal(signal.SIGTERM)
            assert old.wait() == 0
        traffic.more(30)
    assert traffic.failures == []


# ---- serve
def test_serve_and_a_replica_that_dies_is_replaced(base: Path, driver: str, until: Any, load: Any) -> None:
    told: list[str] = []
    with serve(base, "m", port=0, replicas=2, driver=driver, flags=[FAKE], report=told.append) as serving:
        with load(serving.url, clients=2) as traffic:
            traffic.more(20)
            victim = serving.pids()[0]
            os.kill(victim, signal.SIGKILL)
            until(lambda: "starts" in told[-1] and victim not in serving.pids())
            until(lambda: len(serving.stats()["endpoints"]) == 2)
            traffic.more(20)
            assert [each.failures for each in serving._replicas] == [
                0,
                0,
            ]  # it had served: nobody waits with another
        assert traffic.failures == []
        pids = serving.pids()
    assert "exit code -9" in told[-2] and "starts" in told[-1]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_serve_leaves_no_process_behind_when_it_is_killed(base: Path, driver: str, until: Any) -> None:
    script = (
        "import os, signal, subprocess, sys\n"
        "from tiphys.serving import serve\n"
        f"serving = serve({str(base)!r}, 'm', port=0, driver={driver!r}, flags=[{FAKE!r}])\n"
        "all_of_them = subprocess.run(['pgrep', '-P', str(os.getpid())], capture_output=True, text=True).stdout\n"
        "print(all_of_them, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, check=False, timeout=60, text=True
    )
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) >= (2 if driver == "built-in" else 3)

    def gone(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    until(lambda: all(map(gone, pids)))


def test_serve_says_what_is_wrong_with_the_folder(tmp_path: Path) -> None:
    version = tmp_path / "one"
    version.mkdir()
    (version / "saved_model.pb").touch()
    for path, part in (
        (version, "is one version of a model"),
        (tmp_path / "no", "There is no folder"),
        (tmp_path, "holds no version"),
    ):
        with pytest.raises(ServingError) as caught:
            serve(path, "m", port=0, flags=[FAKE])
        assert caught.value.code == "TIP519"
        assert part in caught.value.message and caught.value.fix


def test_serve_without_tensorflow(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiphys.serving.local.find_spec", lambda name: None)
    with pytest.raises(ServingError) as caught:
        serve(base, "m", port=0)
    assert caught.value.code == "TIP527" and "tiphys[serve]" in caught.value.fix


def test_serve_says_why_a_replica_does_not_start(add_version: Add) -> None:
    base = add_version(1, nonsense=1).parent
    with pytest.raises(ServingError) as caught:
        serve(base, "m", port=0, replicas=1, flags=[FAKE])
    assert caught.value.code == "TIP518"
    assert "nonsense" in caught.value.cause


@pytest.mark.parametrize("when", ["ready", "starting"])
def test_serve_forever_ends_on_a_signal(base: Path, tmp_path: Path, when: str) -> None:
    served = base if when == "ready" else tmp_path / "empty" / "model"
    (served / "1").mkdir(parents=True, exist_ok=True)
    if when == "starting":
        (served / "1" / "fake.json").write_text('{"delay": 0}')
    script = (
        "import os, signal, sys\n"
        "from tiphys.serving import serve_forever\n"
        "def report(text):\n"
        "    print(text, flush=True)\n"
        f"    if text.startswith({'serving' if when == 'ready' else 'starting'!r}):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        f"path, flags = {str(served)!r}, [{FAKE!r}]\n"
        "sys.exit(serve_forever(path, name='m', port=0, driver='built-in', flags=flags, report=report))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, check=False, timeout=60, text=True
    )
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "starting 2 replicas of m"
    if when == "ready":
        assert re.fullmatch(r"serving m at http://127\.0\.0\.1:\d+/v1/models/m", lines[1])
        assert lines[2] == "stopping"
    else:
        assert lines[1] == "stopped before it was ready"
