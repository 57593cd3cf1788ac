"""Following a run of the real cluster through connections that break and a server that is away for a moment."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import Cluster
from tests.cluster.test_failures import python, workflow
from tiphys.runs import Client

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("images")]
LINES = 24
COUNT = f"""
import time
for n in range({LINES}):
    print("line", n, flush=True)
    time.sleep(0.5)
"""


class Relay:
    """A port of this machine behind which another address stands; it can break all connections and refuse new ones."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._open: list[socket.socket] = []
        self._listening = self._listen(0)
        self.port = self._listening.getsockname()[1]

    def _listen(self, port: int) -> socket.socket:
        listening = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._serve, args=(listening,), daemon=True).start()
        return listening

    def _serve(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(self._to)
                self._open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def interrupt(self, seconds: float) -> None:
        """Break what is connected; refuse new connections for so long."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()
        time.sleep(seconds)
        self._listening = self._listen(self.port)


@pytest.fixture(params=["server", "kubeconfig"])
def relayed(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path
) -> Iterator[tuple[Relay, Client]]:
    if request.param == "server":
        host, _, port = cluster.env["ARGO_SERVER"].partition(":")
        relay = Relay(host, int(port))
        client = Client(server=f"http://127.0.0.1:{relay.port}", token="", namespace="argo")
    else:
        config: dict[str, Any] = yaml.safe_load(Path(cluster.env["KUBECONFIG"]).read_text())
        there = config["clusters"][0]["cluster"]
        host, _, port = there["server"].removeprefix("https://").partition(":")
        relay = Relay(host, int(port))
        there["server"] = f"https://127.0.0.1:{relay.port}"
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        client = Client(kubeconfig=str(path), namespace="argo")
    with client:
        yield relay, client


def test_watch_and_logs_go_through_connections_that_break(relayed: tuple[Relay, Client]) -> None:
    """Each line once and in order, each state as it comes, though the connection breaks three times."""
    relay, client = relayed
    made = client.submit(workflow("lines", {"container": python(COUNT)}))
    lines: list[str] = []
    phases: list[str] = []

    def watch() -> None:
        phases.extend(state.phase for state in client.watch(made.name, timeout=120))

    def read() -> None:
        for line in client.logs(made.name, follow=True):
            lines.append(line.text)

    with ThreadPoolExecutor(2) as pool:
        following = [pool.submit(work) for work in (watch, read)]
        for seen, away in ((3, 0.0), (9, 2.0), (15, 0.0)):
            until = time.monotonic() + 60
            while len(lines) < seen and time.monotonic() < until:
                time.sleep(0.05)
            relay.interrupt(away)
        for work in following:
            work.result(timeout=120)
    assert lines == [f"line {n}" for n in range(LINES)]
    assert phases[-1] == "Succeeded"
    assert "Running" in phases
