"""gRPC through HAProxy to replicas that have no grpcio, judged by grpcio's client."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.serving.test_grpc import PREDICT, spec, x
from tiphys.errors import ServingError
from tiphys.net import HttpLimits, HttpRequest, HttpResponse, HttpServer
from tiphys.net.protobuf import bytes_field, message_map
from tiphys.server.certificate import own_certificate
from tiphys.serving.balancer import HaproxyBalancer, Settings
from tiphys.serving.balancer.facade import LoopThread
from tiphys.serving.balancer.haproxy import haproxy
from tiphys.serving.balancer.pin import VersionPin
from tiphys.serving.guard import Guard
from tiphys.serving.model.servable import Code
from tiphys.serving.rpc import messages
from tiphys.serving.rpc.frames import PIN_HEADER, answer, refusal
from tiphys.serving.server import ModelServer

grpc = pytest.importorskip("grpc")
pytestmark = pytest.mark.skipif(haproxy() is None, reason="HAProxy is not installed")

RELOAD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
LARGE = b"x" * 100_000  # goes by the balancer that stands behind


class Replica:
    """Answers each call with its name. ``does`` may be replaced; ``breaks``: so often it ends the connection."""

    def __init__(self, name: str) -> None:
        self.name, self.breaks = name, 0
        self.seen: list[HttpRequest] = []
        self.does: Callable[[HttpRequest], HttpResponse] = lambda request: answer(name.encode())
        self.thread = LoopThread(name)
        self.server = HttpServer(self._answer, "127.0.0.1", 0)
        self.thread.run(self.server.start())
        self.address = f"127.0.0.1:{self.server.port}"

    def _answer(self, request: HttpRequest) -> HttpResponse:
        self.seen.append(request)
        if self.breaks:
            self.breaks -= 1
            for each in list(self.server._connections):
                each.abort()
        return self.does(request)

    def stop(self) -> None:
        self.thread.run(self.server.stop(1.0))
        self.thread.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def replica(stack: ExitStack) -> Callable[[str], Replica]:
    def make(name: str) -> Replica:
        made = Replica(name)
        stack.callback(made.stop)
        return made

    return make


Front = Callable[..., HaproxyBalancer]


@pytest.fixture
def front(stack: ExitStack) -> Front:
    def make(*addresses: str, **options: Any) -> HaproxyBalancer:
        made = HaproxyBalancer("127.0.0.1", 0, model="m", grpc_port=0, **options).start()
        stack.callback(made.stop)
        made.set_endpoints(addresses)
        return made

    return make


@pytest.fixture
def ask(stack: ExitStack) -> Callable[..., Any]:
    """A client with one connection to each balancer."""
    channels: dict[str, Any] = {}

    def call(front: HaproxyBalancer, data: bytes = b"x", method: str = PREDICT, **options: Any) -> Any:
        address = front.grpc_address
        if address not in channels:
            channels[address] = stack.enter_context(grpc.insecure_channel(address))
        return channels[address].unary_unary(method)(data, timeout=options.pop("timeout", 20), **options)

    return call


def failed(code: str, work: Callable[[], object]) -> str:
    with pytest.raises(grpc.RpcError) as told:
        work()
    error: Any = told.value
    assert error.code().name == code, error.details()
    return str(error.details())


def test_one_connection_gets_all_replicas(replica: Any, front: Front, ask: Any) -> None:
    both = [replica("a"), replica("b")]
    balancer = front(*(each.address for each in both))
    for data in (b"x", LARGE):
        assert Counter(ask(balancer, data) for _ in range(20)) == {b"a": 10, b"b": 10}
    balancer.set_endpoints({both[0].address: 0.0, both[1].address: 1.0})
    assert {ask(balancer) for _ in range(5)} == {b"b"}
    stats = balancer.stats()
    assert (stats["requests"], stats["errors"], stats["retries"]) == (45, 0, 0)


def test_metadata_and_the_deadline_go_along_and_errors_come_back(
    replica: Any, front: Front, ask: Any
) -> None:
    only = replica("only")
    balancer = front(only.address)
    for data in (b"x", LARGE):
        metadata = [("x-a", "1"), ("x-b-bin", b"\0\1"), (PIN_HEADER.decode(), "m/versions/9")]
        assert ask(balancer, data, metadata=metadata, timeout=7) == b"only"
        seen = only.seen[-1]
        assert (seen.target, seen.header(b"x-a"), seen.header(b"x-b-bin")) == (PREDICT, b"1", b"AAE")
        by = ["127.0.0.1"] * (1 + (data is LARGE))  # large ones go by the balancer that stands behind
        assert seen.header(b"x-forwarded-for") == ", ".join(by).encode()
        assert seen.header(PIN_HEADER) is None and seen.body == struct.pack(">BI", 0, len(data)) + data
        assert (seen.header(b"grpc-timeout") or b"").endswith((b"S", b"m", b"u"))
        only.does = lambda request: refusal(Code.FAILED_PRECONDITION, "100 % grüß\n")
        assert failed("FAILED_PRECONDITION", lambda data=data: ask(balancer, data)) == "100 % grüß\n"
        only.does = lambda request: answer(b"only")
    assert ask(balancer, b"", compression=grpc.Compression.NoCompression) == b"only"


def test_what_changes_nothing_is_asked_again_and_nothing_else(replica: Any, front: Front, ask: Any) -> None:
    one, two = replica("a"), replica("b")
    balancer = front(one.address, two.address)
    for data in (b"x", LARGE):
        for _ in range(6):
            one.breaks = 1
            assert ask(balancer, data) in (b"a", b"b")
    one.breaks = 0
    for _ in range(3):
        one.breaks = two.breaks = 1
        before = len(one.seen) + len(two.seen)
        assert "broke off" in failed("UNAVAILABLE", lambda: ask(balancer, method=RELOAD))
        assert len(one.seen) + len(two.seen) == before + 1
    assert balancer.stats()["retries"] > 0


def test_a_call_is_held_while_nobody_is_ready(replica: Any, front: Front, ask: Any) -> None:
    one = replica("a")
    balancer = front()
    timer = threading.Timer(0.3, balancer.set_endpoints, [[one.address]])
    timer.start()
    assert ask(balancer) == b"a"
    timer.join()
    balancer.set_endpoints([])
    assert "No endpoint available" in failed("UNAVAILABLE", lambda: ask(balancer))


def test_a_replica_that_has_no_time_is_told_as_unavailable(replica: Any, front: Front, ask: Any) -> None:
    only = replica("only")
    only.does = lambda request: HttpResponse(503)
    balancer = front(only.address)
    failed("UNAVAILABLE", lambda: ask(balancer))
    failed("UNAVAILABLE", lambda: ask(balancer, LARGE))


def test_the_version_is_named_whatever_a_client_says(replica: Any, front: Front, ask: Any) -> None:
    only = replica("only")
    balancer = front(only.address)
    mine = [(PIN_HEADER.decode(), "m/versions/9"), (PIN_HEADER.decode(), "m/versions/8")]
    for pin in (VersionPin("m", 7), VersionPin("m", "@17"), None):
        balancer.pin(pin)
        for data in (b"x", LARGE):
            ask(balancer, data, metadata=mine)
            seen = only.seen[-1]
            found = [value.decode() for name, value in seen.headers if name == PIN_HEADER]
            assert found == ([pin.names["header"]] if pin is not None else [])
            assert seen.target == PREDICT


def test_a_client_needs_the_token_and_takes_the_certificate(
    replica: Any, front: Front, tmp_path: Path
) -> None:
    certificate, key = own_certificate(tmp_path, ["localhost", "127.0.0.1"])
    (tmp_path / "token").write_text("s3cret\n")
    guard = Guard.of_files(str(certificate), str(key), str(tmp_path / "token"))
    only = replica("only")
    balancer = front(only.address, settings=Settings(guard=guard))
    credentials = grpc.ssl_channel_credentials(Path(certificate).read_bytes())
    with grpc.secure_channel(balancer.grpc_address, credentials) as channel:
        call = channel.unary_unary(PREDICT)
        for data in (b"x", LARGE):
            assert call(data, timeout=20, metadata=[("authorization", "Bearer s3cret")]) == b"only"
        for metadata in ([], [("authorization", "Bearer wrong")]):
            said = failed(
                "UNAUTHENTICATED", lambda metadata=metadata: call(b"x", timeout=20, metadata=metadata)
            )
            assert "a token is needed" in said
    with grpc.insecure_channel(balancer.grpc_address) as plain:
        failed("UNAVAILABLE", lambda: plain.unary_unary(PREDICT)(b"x", timeout=20))
    assert len(only.seen) == 2


def test_when_it_is_killed_it_is_there_again_at_the_same_address(
    replica: Any, front: Front, ask: Any, until: Any
) -> None:
    balancer = front(replica("a").address)
    balancer.pin(VersionPin("m", 4))
    assert ask(balancer) == b"a"
    address, before = balancer.grpc_address, balancer.pid
    os.kill(before, signal.SIGKILL)

    def again() -> Any:
        try:
            return ask(balancer, wait_for_ready=True)
        except grpc.RpcError:  # it was on its way when the connection broke
            return None

    assert until(again) == b"a"
    assert balancer.grpc_address == address and balancer.pid != before


def test_calls_that_run_when_it_stops_end(replica: Any, stack: ExitStack, ask: Any) -> None:
    only, gate, waiting = replica("a"), threading.Event(), threading.Event()

    def slow(request: HttpRequest) -> HttpResponse:
        waiting.set()
        assert gate.wait(20)
        return answer(b"slow")

    only.does = slow
    balancer = HaproxyBalancer("127.0.0.1", 0, model="m", grpc_port=0).start()
    stack.callback(balancer.stop)
    balancer.set_endpoints([only.address])
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(ask, balancer)
        assert waiting.wait(20)
        threading.Timer(0.3, gate.set).start()
        assert balancer.stop() is True
        assert call.result() == b"slow"


def test_a_call_that_is_given_up_is_given_up_at_the_replica(
    model_server: Callable[..., ModelServer],
    add_version: Callable[..., Path],
    front: Front,
    stack: ExitStack,
    until: Any,
) -> None:
    add_version(1, delay=0.3)
    server = model_server()
    balancer = front(server.address)
    channel = stack.enter_context(grpc.insecure_channel(balancer.grpc_address))
    call = channel.unary_unary(PREDICT).future(spec() + x(1), timeout=20)
    assert server._server is not None
    busy = server._server._busy
    until(lambda: busy() == 1)
    call.cancel()
    until(lambda: busy() == 0)
    assert answered(channel.unary_unary(PREDICT)(spec() + x(1), timeout=20)) == [2.5]


def test_ports(front: Front) -> None:
    balancer = front()
    assert balancer.grpc_address == f"127.0.0.1:{balancer._listening()[1]}" != balancer.url
    taken = int(balancer.grpc_address.rpartition(":")[2])
    with pytest.raises(ServingError) as told:
        HaproxyBalancer("127.0.0.1", 0, model="m", grpc_port=taken).start()
    assert told.value.code == "TIP510"
    assert HaproxyBalancer("127.0.0.1", 0, model="m").grpc_address == ""


# ---- a real replica behind it
def answered(data: bytes) -> list[float]:
    (y,) = message_map(memoryview(data), 1).values()
    return list(messages.read_tensor(y).values)


@pytest.mark.parametrize("kind", ["NoCompression", "Gzip", "Deflate"])
def test_small_and_large_messages_packed_or_not(
    model_server: Callable[..., ModelServer], front: Front, ask: Any, kind: str
) -> None:
    balancer = front(model_server().address)
    for count in (1, 1000, 4000, 8000, 20_000, 800_000):
        numbers = [float(each) for each in range(count)]
        found = ask(balancer, spec() + x(*numbers), compression=getattr(grpc.Compression, kind))
        assert answered(found) == [each / 2 + 2 for each in numbers]


def test_a_message_that_is_too_large_is_told_as_that(
    model_server: Callable[..., ModelServer], front: Front, ask: Any
) -> None:
    limits = HttpLimits(body_bytes=100_000)
    balancer = front(model_server(limits=limits).address, settings=Settings(limits=limits))
    for size in (100_000, 1_000_000, 20_000_000):
        said = failed(
            "RESOURCE_EXHAUSTED", lambda size=size: ask(balancer, spec() + bytes_field(9, bytes(size)))
        )
        assert "too large" in said
    packed = {"compression": grpc.Compression.Gzip}
    said = failed("RESOURCE_EXHAUSTED", lambda: ask(balancer, bytes_field(9, bytes(10_000_000)), **packed))
    assert "larger than 100000 bytes" in said
    assert answered(ask(balancer, spec() + x(1.0))) == [2.5]


def test_many_at_once_on_one_connection(
    model_server: Callable[..., ModelServer], front: Front, ask: Any
) -> None:
    balancer = front(model_server().address)
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda number: answered(ask(balancer, spec() + x(float(number)))), range(500)))
    assert found == [[number / 2 + 2] for number in range(500)]
    assert balancer.stats()["errors"] == 0


def test_the_callers_deadline_counts_and_others_are_answered(
    model_server: Callable[..., ModelServer], add_version: Callable[..., Path], front: Front, ask: Any
) -> None:
    add_version(1, delay=0.5)
    balancer = front(model_server().address)
    for data in (spec() + x(1), spec() + x(*[1.0] * 20_000)):
        failed("DEADLINE_EXCEEDED", lambda data=data: ask(balancer, data, timeout=0.2))
    assert answered(ask(balancer, spec() + x(1))) == [2.5]


# HTTP/2 by hand: what no client of gRPC would send
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")  # and no settings


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def head(stream: int, path: str = PREDICT, kind: str = "application/grpc") -> bytes:
    """HEADERS, each field a literal without a name in the table."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "x", "content-type": kind}
    block = b"".join(
        b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()
        for name, value in {**fields, "te": "trailers"}.items()
    )
    return frame(1, 4, stream, block)


def told(data: bytes) -> bytes:
    """Of frames: the kinds that came."""
    kinds = []
    while len(data) >= 9:
        kinds.append(data[3])
        data = data[9 + int.from_bytes(data[:3], "big") :]
    return bytes(kinds)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(100),
        PREFACE + b"\xff" * 200,
        PREFACE + frame(1, 4, 1, b"\xff" * 50),
        PREFACE + head(1) + frame(0, 1, 1, b"\0\xff\xff\xff\xffabc"),
        PREFACE + head(1) + frame(0, 1, 1, b"\0\0\0\0\x09abc"),
        PREFACE + head(1) + frame(0, 1, 1, b""),
        PREFACE + head(1) + frame(0, 1, 1, b"\5garbage"),
        PREFACE + head(1, kind="text/html") + frame(0, 1, 1, b"x"),
        PREFACE + head(1, path="*") + frame(0, 1, 1, b"\0\0\0\0\0"),
        PREFACE + head(1),  # and nothing more
    ],
    ids=range(11),
)
def test_who_sends_nonsense_harms_nobody(
    model_server: Callable[..., ModelServer], front: Front, ask: Any, sent: bytes
) -> None:
    limits = HttpLimits(header_timeout=0.5, body_grace=0.5, write_timeout=1.0, idle_timeout=1.0)
    balancer = front(model_server().address, settings=Settings(limits=limits))
    assert answered(ask(balancer, spec() + x(1))) == [2.5]
    host, _, port = balancer.grpc_address.partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=20)) as client:
        client.sendall(sent)
        assert answered(ask(balancer, spec() + x(1))) == [2.5]
        while client.recv(65536):  # it is ended
            pass
    assert answered(ask(balancer, spec() + x(1))) == [2.5]


def test_a_body_without_an_end_is_ended(
    model_server: Callable[..., ModelServer], front: Front, ask: Any
) -> None:
    limits = HttpLimits(body_bytes=50_000, body_grace=0.5, write_timeout=1.0)
    balancer = front(model_server().address, settings=Settings(limits=limits))
    host, _, port = balancer.grpc_address.partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=20)) as client:
        client.sendall(PREFACE + head(1) + frame(0, 0, 1, b"\0\0\0\xf0\0" + bytes(16_000)))
        for _ in range(3):
            client.sendall(frame(0, 0, 1, bytes(16_000)))
        assert answered(ask(balancer, spec() + x(1))) == [2.5]
        came = b""
        while part := client.recv(65536):
            came += part
            if 1 in told(came):  # headers: it is refused
                break
        assert 1 in told(came)
    assert answered(ask(balancer, spec() + x(1))) == [2.5]
