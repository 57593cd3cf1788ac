"""What stands in front of the built-in balancer, as it is driven: the real HAProxy and the real Envoy. Who gets what,
and what happens when something ends; and that they end with whoever started them, in whatever way that ends."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.serving.balancer.conftest import Echo
from tiphys.errors import ServingError
from tiphys.serving.balancer import EnvoyBalancer, HaproxyBalancer, Settings
from tiphys.serving.balancer.driven import end, start_tied
from tiphys.serving.balancer.envoy import envoy
from tiphys.serving.balancer.haproxy import haproxy
from tiphys.serving.balancer.pin import VersionPin
from tiphys.serving.client import ServingClient

Driven = HaproxyBalancer | EnvoyBalancer

START = """
import os, signal, sys
from tiphys.serving.balancer.driven import start_tied
print(start_tied(["sleep", "600"], 2, (), sys.argv[1]).pid, flush=True)
{}
"""


def state(pid: int) -> str:
    """As the kernel calls it; Z where it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(3)", "raise SystemExit"])
@pytest.mark.parametrize("ending", ["USR1", "KILL"])
def test_it_ends_with_who_started_it(how: str, ending: str, until: Callable[..., Any]) -> None:
    command = [sys.executable, "-W", "ignore", "-c", START.format(how), ending]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    until(lambda: state(int(done.stdout)) == "Z")


def test_it_is_ended_and_is_killed_when_that_takes_too_long(until: Callable[..., Any]) -> None:
    quick = start_tied(["sleep", "600"], 2, (), "KILL")
    assert end(quick, signal.SIGTERM, 10.0)
    assert quick.returncode == -signal.SIGTERM
    stubborn = start_tied(["sleep", "600"], 2, (), "KILL")
    stubborn.send_signal(signal.SIGSTOP)
    until(lambda: state(stubborn.pid) == "T")
    assert not end(stubborn, signal.SIGTERM, 0.1)
    assert stubborn.returncode == -signal.SIGKILL


@pytest.fixture(params=[HaproxyBalancer, EnvoyBalancer])
def kind(request: pytest.FixtureRequest) -> type[Driven]:
    """Each of them."""
    if (haproxy if request.param is HaproxyBalancer else envoy)() is None:
        pytest.skip(f"{request.param.name} is not installed")
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def front(kind: type[Driven], echoes: list[Echo]) -> Iterator[Driven]:
    with ExitStack() as stack:
        made = kind("127.0.0.1", 0, model="m", health_path="/v1/models/m").start()
        stack.callback(made.stop)
        made.set_endpoints([echoes[0].address])
        yield made


class Asking:
    """One connection."""

    def __init__(self, front: Driven) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=30)

    def __call__(
        self, path: str = "/v1/models/m:predict", body: Any = b"{}", **headers: str
    ) -> tuple[int, Any]:
        self.connection.request("POST", path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())


Connect = Callable[[Driven], Asking]


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as stack:

        def made(front: Driven) -> Asking:
            ask = Asking(front)
            stack.callback(ask.connection.close)
            return ask

        yield made


def test_weights_and_endpoints_change_on_one_connection(
    connect: Connect, front: Driven, echoes: list[Echo]
) -> None:
    ask = connect(front)
    one, two, three = (each.address for each in echoes)

    def share(count: int) -> Counter[str]:
        return Counter(ask()[1]["at"] for _ in range(count))

    assert share(10) == {one: 10}
    front.set_endpoints({one: 1, two: 3})
    assert share(80) == {one: 20, two: 60}
    front.set_endpoints({one: 1, two: 0, three: 1})
    assert share(20) == {one: 10, three: 10}
    front.set_endpoints([one])
    for _ in range(40):  # each gets a slot that others had, and begins at nothing
        front.set_endpoints([two])
        front.set_endpoints([three])
    front.set_endpoints([two])
    assert share(5) == {two: 5}
    stats = front.stats()
    assert [each["address"] for each in stats["endpoints"]] == [two]
    assert stats["endpoints"][0]["requests"] == 5
    assert (stats["requests"], stats["errors"], stats["connections"]) == (115, 0, 1)
    assert ask.connection.sock is not None  # it was never closed


def test_least_request_asks_who_has_less(kind: type[Driven], connect: Connect, echoes: list[Echo]) -> None:
    front = kind("127.0.0.1", 0, model="m", policy="least-request").start()
    try:
        busy, idle = echoes[:2]
        front.set_endpoints([busy.address])
        busy.gate.clear()
        held = [threading.Thread(target=connect(front)) for _ in range(4)]
        for each in held:
            each.start()
        while len(busy.asked) < 4:
            time.sleep(0.01)
        front.set_endpoints([busy.address, idle.address])
        ask = connect(front)
        # of two that are drawn; they may be the same one, so it waits at times, and for nobody else
        busy.gate.set()
        for each in held:
            each.join()
        assert {ask()[1]["at"] for _ in range(40)} == {busy.address, idle.address}
    finally:
        front.stop()


def test_large_and_chunked_bodies_go_through(connect: Connect, front: Driven, echoes: list[Echo]) -> None:
    ask = connect(front)
    while ask()[1]["for"] != "127.0.0.1":
        time.sleep(0.01)  # until it answers itself, the built-in balancer answers through it, or for it
    for size in (0, 10_000, 16_384, 16_385, 60_000, 5_000_000):
        assert ask(body=b"x" * size) == (
            200,
            {"at": echoes[0].address, "path": "/v1/models/m:predict", "size": size, "for": "127.0.0.1"}
            if size <= 16_384
            else {
                "at": echoes[0].address,
                "path": "/v1/models/m:predict",
                "size": size,
                "for": "127.0.0.1, 127.0.0.1",
            },
        )
    assert ask(body=iter([b"x" * 1000] * 50))[1]["size"] == 50_000


@pytest.mark.parametrize("size", [10, 200_000])
def test_what_a_replica_breaks_off_is_asked_of_another(
    connect: Connect, front: Driven, echoes: list[Echo], size: int
) -> None:
    ask = connect(front)
    front.set_endpoints([echoes[0].address, echoes[1].address])
    for _ in range(6):
        echoes[0].breaks = 1
        status, told = ask(body=b"x" * size)
        assert (status, told["size"]) == (200, size)
    echoes[0].breaks = 0
    for _ in range(4):  # what may not run twice does not
        echoes[0].breaks = echoes[1].breaks = 1
        before = len(echoes[0].asked) + len(echoes[1].asked)
        status, told = ask("/v1/train", b"x" * size)
        assert status == 502 and "broke off" in told["error"]
        assert len(echoes[0].asked) + len(echoes[1].asked) == before + 1
        time.sleep(1.2)  # until both are asked again
    assert front.stats()["retries"] > 0


def test_one_replica_is_asked_again(connect: Connect, front: Driven, echoes: list[Echo]) -> None:
    ask = connect(front)
    echoes[0].breaks = 1
    assert ask()[0] == 200
    assert len(echoes[0].asked) == 2


def test_what_runs_on_an_endpoint_that_leaves_ends_there(
    connect: Connect, front: Driven, echoes: list[Echo]
) -> None:
    ask = connect(front)
    echoes[0].gate.clear()
    told: list[Any] = []
    slow = threading.Thread(target=lambda: told.append(ask()))
    slow.start()
    assert echoes[0].waiting.wait(10)
    front.set_endpoints([echoes[1].address])
    assert connect(front)()[1]["at"] == echoes[1].address
    front.set_endpoints([])
    echoes[0].gate.set()
    slow.join()
    assert told[0][1]["at"] == echoes[0].address


def test_a_request_is_held_while_nobody_is_ready(connect: Connect, front: Driven, echoes: list[Echo]) -> None:
    front.set_endpoints([])
    ask = connect(front)
    timer = threading.Timer(0.3, front.set_endpoints, [[echoes[1].address]])
    timer.start()
    assert ask()[1]["at"] == echoes[1].address
    timer.join()
    front.set_endpoints([])
    status, told = ask()
    assert status == 503 and "No endpoint available" in told["error"]


def test_an_endpoint_that_is_gone_costs_nobody_anything(
    connect: Connect, front: Driven, echoes: list[Echo]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        front.set_endpoints([f"127.0.0.1:{closed.getsockname()[1]}", echoes[0].address])
        ask = connect(front)
        assert [ask()[0] for _ in range(30)] == [200] * 30


def test_the_version_is_named_and_the_old_one_is_counted_until_its_requests_end(
    connect: Connect, front: Driven, echoes: list[Echo], until: Callable[..., Any]
) -> None:
    ask, (echo, *_) = connect(front), echoes
    one, two = VersionPin("m", 1), VersionPin("m", 2)
    front.pin(one)
    paths = {
        "/v1/models/m:predict?x=1": "/v1/models/m/versions/1:predict?x=1",
        "/v1/models/m:classify": "/v1/models/m/versions/1:classify",
        "/v2/models/m/infer": "/v2/models/m/versions/1/infer",
        "/v2/models/m/ready": "/v2/models/m/ready",
        "/v1/models/m/versions/7:predict": "/v1/models/m/versions/7:predict",
        "/v1/models/m/labels/x:predict": "/v1/models/m/labels/x:predict",
        "/v1/models/mm:predict": "/v1/models/mm:predict",
    }
    assert {path: ask(path)[1]["path"] for path in paths} == paths
    assert ask(body=b"x" * 100_000)[1]["path"] == "/v1/models/m/versions/1:predict"
    echo.gate.clear()
    echo.waiting.clear()
    slow = threading.Thread(target=connect(front))
    slow.start()
    assert echo.waiting.wait(10)
    front.pin(two)
    assert one.active > 0
    time.sleep(0.5)
    assert one.active > 0 and two.active == 0
    echo.gate.set()
    slow.join()
    until(lambda: one.active == 0)
    assert ask()[1]["path"] == "/v1/models/m/versions/2:predict"
    for number in range(3, 12):  # faster than anybody looks
        front.pin(VersionPin("m", number))
        assert ask()[1]["path"] == f"/v1/models/m/versions/{number}:predict"
    front.pin(None)
    assert ask()[1]["path"] == "/v1/models/m:predict"


def test_who_stands_behind_it_changes_at_the_same_moment(
    connect: Connect, front: Driven, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large request is handed on: it is told of what is named when it comes, as a small one is."""
    front.pin(VersionPin("m", 1))
    ask, told, go, name = connect(front), threading.Event(), threading.Event(), front._name

    def slowly() -> None:
        told.set()
        assert go.wait(10)
        name()

    monkeypatch.setattr(front, "_name", slowly)
    change = threading.Thread(target=front.pin, args=(VersionPin("m", 2),))
    change.start()
    assert told.wait(10)
    before = [ask(body=body)[1]["path"] for body in (b"{}", b"x" * 100_000)]
    go.set()
    change.join()
    after = [ask(body=body)[1]["path"] for body in (b"{}", b"x" * 100_000)]
    for number, found in ((1, before), (2, after)):
        assert found == [f"/v1/models/m/versions/{number}:predict"] * 2


@pytest.mark.parametrize("pin", [VersionPin("m", 7), VersionPin("m", "@17")])
def test_it_names_what_the_built_in_balancer_does(connect: Connect, front: Driven, pin: VersionPin) -> None:
    ask = connect(front)
    front.pin(pin)
    places = (
        "",
        "/versions/3",
        "/versions/next",
        "/versions/next@16",
        "/labels/next",
        "/labels/@16",
        "/labels/3",
    )
    ends = (":predict", ":regress", "/metadata", "/infer", "/ready", "")
    paths = [f"/{api}/models/m{place}{end}" for api in ("v1", "v2") for place in places for end in ends]
    assert [ask(path)[1]["path"] for path in paths] == [pin.target(path) for path in paths]
    front.pin(None)
    assert [ask(path)[1]["path"] for path in paths] == paths


def test_it_is_started_again_when_it_is_killed(
    connect: Connect, front: Driven, echoes: list[Echo], until: Callable[..., Any]
) -> None:
    front.pin(VersionPin("m", 4))
    port, process = front.port, front._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # whoever connects meanwhile is answered: the address was never given up
    assert connect(front)()[1]["path"] == "/v1/models/m/versions/4:predict"
    until(lambda: front.pid not in (0, process.pid))
    before = front.stats()["connections"]
    assert connect(front)()[1]["path"] == "/v1/models/m/versions/4:predict"
    assert (front.port, front.stats()["connections"]) == (port, before + 1)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_what_changes_while_it_does_not_answer_holds_when_it_is_there_again(
    connect: Connect,
    front: Driven,
    echoes: list[Echo],
    monkeypatch: pytest.MonkeyPatch,
    how: signal.Signals,
) -> None:
    monkeypatch.setattr(f"{type(front).__module__}._ANSWER", 0.5)
    os.kill(front.pid, how)
    front.set_endpoints([echoes[1].address])
    front.pin(VersionPin("m", 6))
    told = connect(front)()[1]
    assert (told["at"], told["path"]) == (echoes[1].address, "/v1/models/m/versions/6:predict")


def test_a_name_may_have_anything_in_it(kind: type[Driven], echoes: list[Echo]) -> None:
    name = 'it\'s "%[src]" {é} \\1 #\n(x'
    front = kind("127.0.0.1", 0, model=name).start()
    try:
        front.set_endpoints([echoes[0].address])
        front.pin(VersionPin(name, 5))
        with ServingClient(front.url, name) as client, pytest.raises(ServingError):
            client.predict(instances=[1.0])
        (asked,) = echoes[0].asked
        assert asked.endswith("/versions/5:predict") and asked.startswith("/v1/models/it%27s%20%22%25%5Bsrc")
    finally:
        front.stop()


def test_what_runs_when_it_stops_ends(kind: type[Driven], connect: Connect, echoes: list[Echo]) -> None:
    front = kind("127.0.0.1", 0, model="m").start()
    front.set_endpoints([echoes[0].address])
    idle = connect(front)
    idle()
    echoes[0].gate.clear()
    echoes[0].waiting.clear()
    told: list[Any] = []
    slow = threading.Thread(target=lambda: told.append(connect(front)()))
    slow.start()
    assert echoes[0].waiting.wait(10)
    threading.Timer(0.5, echoes[0].gate.set).start()
    assert front.stop() is True
    slow.join()
    assert told[0][0] == 200
    assert not front._folder.exists()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", front.port), 1).close()


def test_what_is_wrong_is_said(kind: type[Driven], front: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    def raised(code: str, work: Callable[[], object]) -> ServingError:
        with pytest.raises(ServingError) as error:
            work()
        assert error.value.code == code
        return error.value

    raised("TIP510", kind("127.0.0.1", front.port, model="m").start)
    raised("TIP511", lambda: kind("127.0.0.1", 0, model="m", policy="hash:body").start())
    raised("TIP512", lambda: front.set_endpoints(["nonsense"]))
    raised("TIP512", lambda: front.set_endpoints(["nowhere.invalid:1"]))
    program = f"{kind.__module__}.{kind.name.lower()}"
    monkeypatch.setattr(program, lambda: "/bin/false")
    raised("TIP531", kind("127.0.0.1", 0, model="m").start)
    monkeypatch.setattr(program, lambda: None)
    raised("TIP531", kind("127.0.0.1", 0, model="m", settings=Settings(hold=0.0)).start)
