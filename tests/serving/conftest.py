"""Servers that tests talk to. Everything listens on loopback, on free ports."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tiphys.net import HttpRequest, HttpResponse, HttpServer
from tiphys.serving import Balancer
from tiphys.serving.balancer.envoy import envoy
from tiphys.serving.balancer.facade import LoopThread
from tiphys.serving.balancer.haproxy import HaproxyBalancer, haproxy
from tiphys.serving.model import fake
from tiphys.serving.model.manager import ModelConfig
from tiphys.serving.server import ModelServer, ServerConfig


class Load:
    """Clients that ask without pause, each on its own connection, until stopped; keeps what went wrong."""

    def __init__(self, url: str, body: bytes, path: str, clients: int) -> None:
        self.answers: list[bytes] = []
        self.failures: list[str] = []
        self._host = url.removeprefix("http://")
        self._body, self._path = body, path
        self._stop = threading.Event()
        self._some = threading.Condition()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=20)
        while not self._stop.is_set():
            try:
                connection.request("POST", self._path, self._body)
                response = connection.getresponse()
                answer = response.read()
                if response.status != 200:
                    self.failures.append(f"{response.status} {answer!r}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
                answer = b""
            with self._some:
                self.answers.append(answer)
                self._some.notify_all()
        connection.close()

    def more(self, count: int, timeout: float = 30.0) -> None:
        """Wait until this many more answers have come."""
        with self._some:
            target = len(self.answers) + count
            assert self._some.wait_for(lambda: len(self.answers) >= target, timeout), self.failures[:5]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


class Clients:
    """They ask for the model ``m``, one request after the other; what they were told, in order."""

    def __init__(self, url: str, count: int, place: str) -> None:
        self._path = f"/v1/models/m{place}:predict"
        self.url, self.told, self.failed = url, [[0.0] for _ in range(count)], []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(told,)) for told in self.told]
        for each in self._threads:
            each.start()

    def _ask(self, told: list[float]) -> None:
        while not self._over.is_set():
            try:
                found = self._answer()
            except Exception as error:  # noqa: BLE001
                self.failed.append(repr(error))
                return
            if found != told[-1]:
                told.append(found)

    def _answer(self) -> float:
        request = urllib.request.Request(self.url + self._path, b'{"instances": [0.0]}')
        with urllib.request.urlopen(request, timeout=30) as answer:
            return float(json.load(answer)["predictions"][0])

    def all_told(self, what: float) -> bool:
        assert self.failed == []
        return all(told[-1] == what for told in self.told)

    def stop(self) -> None:
        self._over.set()
        for each in self._threads:
            each.join()


@pytest.fixture
def asking() -> Iterator[Callable[..., Clients]]:
    """Four clients; ``place``: of a version or a label in the path, where they name one."""
    made: list[Clients] = []

    def begin(url: str, place: str = "") -> Clients:
        made.append(Clients(url, 4, place))
        return made[-1]

    yield begin
    for each in made:
        each.stop()


class Replica:
    """A server that says its name; ``answer`` may be replaced while it runs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[HttpRequest] = []
        self.answer: Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]] = self.say_name
        self._thread = LoopThread(name)
        self._server = HttpServer(self._handle, "127.0.0.1", 0)
        self._thread.run(self._server.start())
        self.address = f"127.0.0.1:{self._server.port}"
        self.alive = True

    def _handle(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        self.requests.append(request)
        return self.answer(request)

    def say_name(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, json.dumps({"predictions": [self.name]}).encode())

    def die(self) -> None:
        """Close the port and cut all connections, as the kernel does for a killed process."""
        if self.alive:
            self.alive = False
            self._thread.run(self._server.stop(0))
            self._thread.close()

    def stop(self) -> None:
        """End as on SIGTERM: drain."""
        self.alive = False
        self._thread.run(self._server.stop(10))
        self._thread.close()


@pytest.fixture
def replica() -> Iterator[Callable[[str], Replica]]:
    with ExitStack() as stack:

        def make(name: str) -> Replica:
            made = Replica(name)
            stack.callback(made.die)
            return made

        yield make


@pytest.fixture
def balancer() -> Iterator[Callable[..., Balancer]]:
    with ExitStack() as stack:

        def make(*replicas: Replica, **options: Any) -> Balancer:
            addresses = [r.address for r in replicas]
            return stack.enter_context(Balancer("127.0.0.1", 0, endpoints=addresses, **options))

        yield make


@pytest.fixture(params=["built-in", "haproxy", "envoy"])
def driver(request: pytest.FixtureRequest) -> str:
    """What balances: each of them."""
    if (request.param == "haproxy" and haproxy() is None) or (request.param == "envoy" and envoy() is None):
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


@pytest.fixture(params=["grpcio", "haproxy"])
def called(request: pytest.FixtureRequest) -> Iterator[Callable[[ModelServer], str]]:
    """Where gRPC's clients reach a server: at a port of its own, or by HAProxy, which asks it as HTTP/1.1."""
    if request.param == "haproxy" and haproxy() is None:
        pytest.skip("HAProxy is not installed")
    with ExitStack() as stack:

        def address(server: ModelServer) -> str:
            if request.param == "grpcio":
                return server.grpc_address
            front = HaproxyBalancer("127.0.0.1", 0, model="m", grpc_port=0).start()
            stack.callback(front.stop)
            front.set_endpoints([server.address])
            return front.grpc_address

        yield address


@pytest.fixture
def load() -> Callable[..., Load]:
    def make(
        url: str, body: bytes = b'{"instances": [1.0]}', path: str = "/v1/models/m:predict", clients: int = 4
    ) -> Load:
        return Load(url, body, path, clients)

    return make


def until(condition: Callable[[], Any], timeout: float = 20.0) -> Any:
    """Ask again and again until the condition is true; for what another process does."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Any]:
    return until


@pytest.fixture
def add_version(tmp_path: Path) -> Callable[..., Path]:
    """Write a version of the fake model as a real deployment does: beside, then renamed."""

    def add(number: int, base: Path | None = None, **config: Any) -> Path:
        base = base or tmp_path / "model"
        base.mkdir(exist_ok=True)
        staging = base / f".{number}"
        staging.mkdir()
        (staging / "fake.json").write_text(json.dumps(config))
        return staging.rename(base / str(number))

    return add


@pytest.fixture
def model_server(tmp_path: Path, add_version: Callable[..., Path]) -> Iterator[Callable[..., ModelServer]]:
    """Start servers of the fake model ``m``; version 1 is made when there is none."""
    with ExitStack() as stack:

        def start(base: Path | None = None, **options: Any) -> ModelServer:
            base = base or tmp_path / "model"
            if not base.exists():
                add_version(1, base)
            settings = {
                "models": [ModelConfig("m", base)],
                "host": "127.0.0.1",
                "port": 0,
                "loader": fake.load,
                "poll_seconds": 3600.0,
                "drain_seconds": 10.0,
                **options,
            }
            return stack.enter_context(ModelServer(ServerConfig(**settings)))

        yield start


class Answer:
    """An HTTP answer, read whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        error = json.loads(self.body)["error"]
        assert isinstance(error, str)
        return error


@pytest.fixture
def ask() -> Callable[..., Answer]:
    """One request on a fresh connection."""

    def send(
        url: str,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    return send
