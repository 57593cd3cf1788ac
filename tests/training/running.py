"""A training service on free ports of this process, over a place in memory."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.training.fakes import FakePlace
from tiphys.net.server import HttpServer
from tiphys.serving.balancer.facade import LoopThread
from tiphys.store.layout import Store
from tiphys.training.calls import TrainingCalls
from tiphys.training.client import TrainingClient
from tiphys.training.job import Algorithm
from tiphys.training.rest import TrainingRest
from tiphys.training.rpc import start_rpc
from tiphys.training.service import TrainingService


@dataclass
class Running:
    service: TrainingService
    place: FakePlace
    calls: TrainingCalls
    port: int
    rest_port: int

    def client(self, **options: Any) -> TrainingClient:
        return TrainingClient(f"127.0.0.1:{self.port}", **{"retry": 0.0, **options})

    def rest(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=20)
        try:
            raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, raw, headers or {})
            answer = connection.getresponse()
            text = answer.read()
            is_json = (answer.getheader("Content-Type") or "").startswith("application/json")
            return answer.status, json.loads(text) if is_json else text.decode()
        finally:
            connection.close()


@contextlib.contextmanager
def running(folder: Path, *, rules: str = "", private: bool = True) -> Iterator[Running]:
    folder.mkdir(exist_ok=True)
    if rules:
        (folder / "training.toml").write_text(rules)
    place = FakePlace()
    service = TrainingService(Store(folder), place, period=0.05)
    loop = LoopThread("service")

    async def start() -> tuple[TrainingCalls, Any, int, HttpServer]:
        calls = TrainingCalls(service, private=private)
        http_server = HttpServer(TrainingRest(calls), "127.0.0.1", 0)
        await http_server.start()
        return calls, *(await start_rpc(calls, "127.0.0.1", 0)), http_server

    calls, rpc, port, rest = loop.run(start())
    service.start()
    try:
        yield Running(service, place, calls, port, rest.port)
    finally:

        async def stop() -> None:
            calls.close()
            await rpc.stop(1.0)
            await rest.stop(1.0)

        loop.run(stop())
        service.close()
        loop.close()


def algorithm(name: str = "cnn") -> Algorithm:
    return Algorithm(name, image="registry/cnn:1")
