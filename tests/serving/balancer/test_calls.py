"""gRPC balanced by call, judged by grpcio's own clients and servers and the official client of TensorFlow Serving."""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tiphys.errors import ServingError
from tiphys.net.protobuf import bytes_field, messages, text
from tiphys.server.certificate import own_certificate
from tiphys.serving import Guard, serve
from tiphys.serving.balancer import CallBalancer, Settings
from tiphys.serving.balancer.haproxy import haproxy
from tiphys.serving.balancer.pin import VersionPin

grpc = pytest.importorskip("grpc")

INFER = "/inference.GRPCInferenceService/ModelInfer"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
RELOAD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
FAKE = "--tiphys_loader=tiphys.serving.model.fake:load"


class Replica:
    """A server that answers every call with its name and what it was asked; ``does`` may be replaced."""

    def __init__(self, name: str) -> None:
        self.name, self.seen = name, Counter[str]()
        self.does: Callable[[bytes, Any], bytes] = lambda data, context: name.encode() + b":" + data
        self.server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        self.server.add_generic_rpc_handlers((self,))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.address = f"127.0.0.1:{self.port}"

    def service(self, details: Any) -> Any:
        def handle(data: bytes, context: Any) -> bytes:
            self.seen[details.method] += 1
            return self.does(data, context)

        return grpc.unary_unary_rpc_method_handler(handle)

    def die(self) -> None:
        self.server.stop(0).wait()


@pytest.fixture
def replica() -> Iterator[Callable[[str], Replica]]:
    with ExitStack() as stack:

        def make(name: str) -> Replica:
            made = Replica(name)
            stack.callback(made.die)
            return made

        yield make


@pytest.fixture
def ask() -> Iterator[Callable[..., Any]]:
    """A client with one connection to each balancer."""
    channels: dict[str, Any] = {}

    def call(balancer: CallBalancer, data: bytes = b"x", method: str = PREDICT, **options: Any) -> Any:
        if balancer.address not in channels:
            channels[balancer.address] = grpc.insecure_channel(balancer.address)
        return channels[balancer.address].unary_unary(method)(
            data, timeout=options.pop("timeout", 20), **options
        )

    yield call
    for channel in channels.values():
        channel.close()


@pytest.mark.parametrize("policy", ["round-robin", "least-request", "hash:x-user"])
def test_one_connection_gets_all_replicas(replica: Any, ask: Any, policy: str) -> None:
    first, second = replica("first"), replica("second")
    with CallBalancer("127.0.0.1", 0, endpoints=[first.address, second.address], policy=policy) as balancer:
        for number in range(100):
            assert ask(balancer, metadata=[("x-user", str(number))])[-2:] == b":x"
        assert min(first.seen[PREDICT], second.seen[PREDICT]) > 20
        balancer.set_endpoints({first.address: 0.0, second.address: 1.0})
        assert {ask(balancer) for _ in range(10)} == {b"second:x"}
        assert balancer.stats() == {"calls": 110, "errors": 0, "retries": 0}
        if policy.startswith("hash"):
            balancer.set_endpoints([first.address, second.address])
            assert len({ask(balancer, metadata=[("x-user", "ada")]) for _ in range(10)}) == 1


def test_metadata_deadline_and_errors_are_passed_on(replica: Any, ask: Any) -> None:
    only, found = replica("only"), {}

    def does(data: bytes, context: Any) -> bytes:
        found.update(dict(context.invocation_metadata()), left=context.time_remaining())
        context.set_trailing_metadata([("cost", "3")])
        if data == b"wrong":
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no such signature")
        return data

    only.does = does
    with CallBalancer("127.0.0.1", 0, endpoints=[only.address]) as balancer:
        assert ask(balancer, metadata=[("x-a", "1"), ("x-b-bin", b"\0\1")], timeout=7) == b"x"
        assert (found["x-a"], found["x-b-bin"]) == ("1", b"\0\1") and found["left"] < 8
        with pytest.raises(grpc.RpcError) as told:
            ask(balancer, b"wrong")
        assert told.value.code() is grpc.StatusCode.FAILED_PRECONDITION  # type: ignore[attr-defined]
        assert told.value.details() == "no such signature"  # type: ignore[attr-defined]
        assert ("cost", "3") in [(each.key, each.value) for each in told.value.trailing_metadata()]  # type: ignore[attr-defined]
        only.does = lambda data, context: time.sleep(3) or data
        with pytest.raises(grpc.RpcError) as told:
            ask(balancer, timeout=0.3)
        assert told.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED  # type: ignore[attr-defined]
        assert balancer.stats()["retries"] == 0


def test_what_changes_nothing_is_asked_again_and_nothing_else(replica: Any, ask: Any) -> None:
    first, second = replica("first"), replica("second")

    def lost(data: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode.UNAVAILABLE, "going")
        return b""

    first.does = lost
    with CallBalancer("127.0.0.1", 0, endpoints=[first.address, second.address]) as balancer:
        assert {ask(balancer) for _ in range(6)} == {b"second:x"}
        time.sleep(1.1)
        assert {ask(balancer, method=INFER) for _ in range(6)} == {b"second:x"} and first.seen[INFER]
        time.sleep(2.1)  # then the first is tried again
        outcomes = set()
        for _ in range(4):
            try:
                outcomes.add(ask(balancer, method=RELOAD))
            except grpc.RpcError as error:
                outcomes.add(error.details())  # type: ignore[attr-defined]
        assert outcomes == {b"second:x", "going"}
        second.die()
        first.does = lambda data, context: b"back"
        balancer.set_endpoints([])
        with pytest.raises(grpc.RpcError, match="no replica is ready"):
            ask(balancer)
        threading.Timer(0.3, lambda: balancer.set_endpoints([first.address])).start()
        assert ask(balancer) == b"back"  # it was held


def test_a_client_needs_the_token_and_takes_the_certificate(replica: Any, tmp_path: Path) -> None:
    certificate, key = own_certificate(tmp_path, ["localhost", "127.0.0.1"])
    (tmp_path / "token").write_text("s3cret\n")
    guard = Guard.of_files(str(certificate), str(key), str(tmp_path / "token"))
    only = replica("only")
    with CallBalancer("127.0.0.1", 0, endpoints=[only.address], settings=Settings(guard=guard)) as balancer:
        credentials = grpc.ssl_channel_credentials(Path(certificate).read_bytes())
        with grpc.secure_channel(balancer.address, credentials) as channel:
            call = channel.unary_unary(PREDICT)
            assert call(b"x", timeout=20, metadata=[("authorization", "Bearer s3cret")]) == b"only:x"
            for metadata in ([], [("authorization", "Bearer wrong")]):
                with pytest.raises(grpc.RpcError) as told:
                    call(b"x", timeout=20, metadata=metadata)
                assert told.value.code() is grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]
        with grpc.insecure_channel(balancer.address) as plain, pytest.raises(grpc.RpcError):
            plain.unary_unary(PREDICT)(b"x", timeout=3)
    assert only.seen[PREDICT] == 1


def test_a_port_that_is_taken_is_told(replica: Any) -> None:
    taken = replica("taken")
    with pytest.raises(ServingError) as told:
        CallBalancer("127.0.0.1", taken.port).start()
    assert told.value.code == "TIP510"


def test_replicas_are_killed_and_no_call_of_the_official_client_fails(tmp_path: Path, driver: str) -> None:
    pytest.importorskip("tensorflow_serving")
    from tensorflow.core.framework import tensor_pb2  # of tensorflow-serving-api's TensorFlow
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "fake.json").write_text("{}")
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    tensor = tensor_pb2.TensorProto(dtype=1, float_val=[1.0, 5.0])
    for size in (2, 1):
        tensor.tensor_shape.dim.add(size=size)
    request.inputs["x"].CopyFrom(tensor)
    over, answered = threading.Event(), []
    with serve(tmp_path, "m", port=0, grpc_port=0, replicas=2, driver=driver, flags=[FAKE]) as serving:

        def client() -> None:
            with grpc.insecure_channel(serving.grpc_address) as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                while not over.is_set():
                    found = stub.Predict(request, timeout=30).outputs["y"].float_val
                    answered.append([round(each, 3) for each in found])

        with ThreadPoolExecutor(3) as pool:
            clients = [pool.submit(client) for _ in range(3)]
            try:
                for _ in range(2):
                    before = len(answered)
                    while len(answered) < before + 200:
                        assert not any(each.done() for each in clients), [
                            each.exception() for each in clients
                        ]
                        time.sleep(0.01)
                    ready = [each for each in serving.stats()["endpoints"] if each["state"] == "healthy"]
                    if len(ready) == 2:
                        os.kill(serving.pids()[0], signal.SIGKILL)
            finally:
                over.set()
            for each in clients:
                each.result()
        assert {tuple(each) for each in answered} == {(2.5, 4.5)}


@pytest.mark.skipif(haproxy() is None, reason="HAProxy is not installed")
def test_haproxy_needs_no_grpcio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "fake.json").write_text("{}")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "grpc", None)
        with pytest.raises(ServingError) as told:
            serve(tmp_path, "m", port=0, grpc_port=0, driver="built-in", flags=[FAKE])
        assert told.value.code == "TIP530"
    with (
        serve(tmp_path, "m", port=0, grpc_port=0, replicas=1, driver="haproxy", flags=[FAKE]) as serving,
        grpc.insecure_channel(serving.grpc_address) as channel,
    ):
        status = channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus")
        assert status(bytes_field(1, bytes_field(1, b"m")), timeout=20)
        assert not any(each.grpc_address for each in serving._replicas)


def test_the_open_inference_protocol_is_balanced_and_gets_the_version_that_is_named(
    tmp_path: Path, driver: str
) -> None:
    for number, offset in ((1, 2), (2, 3)):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "fake.json").write_text(f'{{"offset": {offset}}}')
    contents = bytes_field(6, struct.pack("<f", 1.0))
    shape = bytes_field(3, b"\x01\x01")
    x = bytes_field(5, bytes_field(1, b"x") + bytes_field(2, b"FP32") + shape + bytes_field(5, contents))
    two = BOTH.format(base=tmp_path)
    (tmp_path / "models.config").write_text(two)
    flags = [FAKE, f"--model_config_file={tmp_path / 'models.config'}"]
    with (
        serve(tmp_path, "m", port=0, grpc_port=0, replicas=2, driver=driver, flags=flags) as serving,
        grpc.insecure_channel(serving.grpc_address) as channel,
    ):
        infer = channel.unary_unary(INFER)

        def answer() -> tuple[str, bytes]:
            found = memoryview(infer(bytes_field(1, b"m") + x, timeout=20))
            (output,) = messages(found, 5)
            return text(found, 2), b"".join(messages(next(messages(output, 5)), 6))

        newest = ("2", struct.pack("<f", 3.5))
        assert {answer() for _ in range(4)} == {newest}
        serving._pin(VersionPin("m", 1))
        assert {answer() for _ in range(4)} == {("1", struct.pack("<f", 2.5))}
        os.kill(serving.pids()[0], signal.SIGKILL)
        assert {answer() for _ in range(50)} == {("1", struct.pack("<f", 2.5))}
        serving._pin(None)
        assert {answer() for _ in range(4)} == {newest}


BOTH = """model_config_list {{ config {{ name: "m" base_path: "{base}" model_platform: "tensorflow"
model_version_policy {{ all {{ }} }} }} }}"""
