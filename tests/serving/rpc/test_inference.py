"""The Open Inference Protocol over gRPC: by hand, and with the clients that are not ours."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tiphys.net import protobuf as wire
from tiphys.serving.rpc.inference import SERVICE
from tiphys.serving.server import ModelServer

grpc = pytest.importorskip("grpc")
Start = Callable[..., ModelServer]
Ask = Callable[..., bytes]
Called = Callable[[ModelServer], str]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """One call, in bytes."""
    with ExitStack() as stack:
        channels: dict[str, Any] = {}

        def call(address: str, method: str, data: bytes = b"") -> bytes:
            if address not in channels:
                channels[address] = stack.enter_context(grpc.insecure_channel(address))
            answer: bytes = channels[address].unary_unary(f"/{SERVICE}/{method}")(data, timeout=20)
            return answer

        yield call


def of(name: str = "m", version: str = "") -> bytes:
    return wire.bytes_field(1, name.encode()) + (wire.bytes_field(2, version.encode()) if version else b"")


def tensor(
    name: str = "x", datatype: str = "FP32", shape: tuple[int, ...] = (3, 1), contents: bytes = b""
) -> bytes:
    sizes = wire.bytes_field(3, b"".join(map(wire.varint, shape)))
    head = wire.bytes_field(1, name.encode()) + wire.bytes_field(2, datatype.encode())
    return wire.bytes_field(5, head + sizes + (wire.bytes_field(5, contents) if contents else b""))


def signature(name: str) -> bytes:
    return wire.bytes_field(
        4, wire.bytes_field(1, b"signature_name") + wire.bytes_field(2, wire.bytes_field(3, name.encode()))
    )


NUMBERS = struct.pack("<3f", 1, 2, 5)
CONTENT = wire.bytes_field(7, NUMBERS)
RAW = tensor() + CONTENT
TYPED = tensor(contents=wire.bytes_field(6, NUMBERS))


def test_server_and_model_say_what_they_are(model_server: Start, called: Called, ask: Ask) -> None:
    address = called(model_server(grpc_port=0))
    yes = b"\x08\x01"
    assert ask(address, "ServerLive") == ask(address, "ServerReady") == yes
    assert wire.text(memoryview(ask(address, "ServerMetadata")), 1) == "tiphys"
    assert ask(address, "ModelReady", of()) == ask(address, "ModelReady", of(version="1")) == yes
    assert ask(address, "ModelReady", of("other")) == ask(address, "ModelReady", of(version="9")) == b""
    told = memoryview(ask(address, "ModelMetadata", of()))
    assert [wire.text(told, each) for each in (1, 2, 3)] == ["m", "1", "tensorflow_savedmodel"]
    for field, name in ((4, "x"), (5, "y")):
        (found,) = wire.messages(told, field)
        assert (wire.text(found, 1), wire.text(found, 2)) == (name, "FP32")
    health = grpc.insecure_channel(address)
    with health:
        check = health.unary_unary("/grpc.health.v1.Health/Check")
        assert check(wire.bytes_field(1, SERVICE.encode()), timeout=20) == yes


def test_an_answer_is_raw_where_the_question_was(model_server: Start, called: Called, ask: Ask) -> None:
    server = model_server(grpc_port=0)
    address = called(server)
    expected = struct.pack("<3f", 2.5, 3, 4.5)
    for body, is_raw in ((RAW, True), (TYPED, False)):
        answer = memoryview(ask(address, "ModelInfer", of(version="1") + wire.bytes_field(3, b"42") + body))
        assert [wire.text(answer, each) for each in (1, 2, 3)] == ["m", "1", "42"]
        (output,) = wire.messages(answer, 5)
        assert (wire.text(output, 1), wire.text(output, 2)) == ("y", "FP32")
        raw = [bytes(each) for each in wire.messages(answer, 6)]
        typed = [bytes(each) for each in wire.messages(output, 5)]
        assert (raw, typed) == (([expected], []) if is_raw else ([], [wire.bytes_field(6, expected)]))
    assert wire.text(memoryview(ask(address, "ModelInfer", of() + RAW)), 2) == "1"


def test_outputs_and_the_signature_may_be_chosen(model_server: Start, called: Called, ask: Ask) -> None:
    address = called(model_server(grpc_port=0))
    text = tensor("text", "BYTES", (1,), wire.bytes_field(8, b"\xff"))
    whole = tensor("whole", "INT64", (1,), wire.bytes_field(3, wire.varint(-1)))
    body = of() + signature("echo") + text + whole
    answer = memoryview(ask(address, "ModelInfer", body))
    assert [wire.text(each, 1) for each in wire.messages(answer, 5)] == ["text", "text_bytes", "whole"]
    chosen = b"".join(wire.bytes_field(6, wire.bytes_field(1, each)) for each in (b"whole", b"text"))
    answer = memoryview(ask(address, "ModelInfer", body + chosen))
    assert [wire.text(each, 1) for each in wire.messages(answer, 5)] == ["whole", "text"]


@pytest.mark.parametrize(
    ("method", "data", "code", "part"),
    [
        ("ModelInfer", b"\xff\xff", "INVALID_ARGUMENT", "the message cannot be read"),
        ("ModelInfer", of("") + RAW, "INVALID_ARGUMENT", "the request names no model"),
        ("ModelInfer", of("other") + RAW, "NOT_FOUND", "Servable not found for request: Latest(other)"),
        ("ModelInfer", of(version="9") + RAW, "NOT_FOUND", "Servable not found for request: Specific(m, 9)"),
        ("ModelInfer", of(version="x") + RAW, "NOT_FOUND", "There is no version 'x'"),
        ("ModelInfer", of() + signature("no") + RAW, "INVALID_ARGUMENT",
         'Serving signature name: "no" not found in signature def'),
        ("ModelInfer", of(), "INVALID_ARGUMENT", "'inputs' has none"),
        ("ModelInfer", of() + tensor("z") + CONTENT, "INVALID_ARGUMENT", "the inputs are x, and not z"),
        ("ModelInfer", of() + tensor(shape=(2**39,)) + CONTENT, "INVALID_ARGUMENT", "12 bytes of FP32 do not fit"),
        ("ModelInfer", of() + tensor(shape=(1,) * 300) + CONTENT, "INVALID_ARGUMENT", "larger than that of a tensor"),
        ("ModelInfer", of() + tensor(datatype="INT8") + CONTENT, "INVALID_ARGUMENT", "INT8, and the model wants FP32"),
        ("ModelInfer", of() + RAW + wire.bytes_field(6, b"\x0a\x02no"), "INVALID_ARGUMENT", "no output 'no': y"),
        ("ModelReady", b"", "INVALID_ARGUMENT", "the request names no model"),
        ("ModelReady", of(version="x"), "NOT_FOUND", "There is no version 'x'"),
        ("ModelMetadata", b"\x0a\x7f", "INVALID_ARGUMENT", "the message cannot be read: a field is cut off"),
        ("ModelMetadata", of("other"), "NOT_FOUND", "Servable not found for request: Latest(other)"),
        ("ModelStreamInfer", b"", "UNIMPLEMENTED", "Method not found!"),
    ],
)  # fmt: skip
def test_errors(
    model_server: Start, called: Called, ask: Ask, method: str, data: bytes, code: str, part: str
) -> None:
    address = called(model_server(grpc_port=0))
    with pytest.raises(grpc.RpcError) as caught:
        ask(address, method, data)
    told: Any = caught.value
    assert told.code().name == code and part in told.details()
    assert ask(address, "ModelInfer", of() + RAW)  # which has harmed nobody


def test_an_error_that_names_very_much_ends_no_connection(
    model_server: Start, called: Called, ask: Ask
) -> None:
    """Of more than a client's library takes in its headers it gives up the connection, with all calls on it."""
    address = called(model_server(grpc_port=0))
    long = "grüß\n" * 100_000
    for data in (of(long) + RAW, of() + signature(long) + RAW, of() + tensor(long), of(version=long) + RAW):
        with pytest.raises(grpc.RpcError) as caught:
            ask(address, "ModelInfer", data)
        told: Any = caught.value
        assert told.code().name in ("NOT_FOUND", "INVALID_ARGUMENT") and "grüß" in told.details()


def test_large_messages_are_answered(model_server: Start, called: Called, ask: Ask) -> None:
    address = called(model_server(grpc_port=0))
    count = 300_000
    text = tensor("text", "BYTES", (1,), wire.bytes_field(8, b"a"))
    numbers = b"".join(wire.varint(each) for each in range(1000, count + 1000))
    whole = tensor("whole", "INT64", (count,), wire.bytes_field(3, numbers))
    chosen = wire.bytes_field(6, wire.bytes_field(1, b"whole"))
    answer = memoryview(ask(address, "ModelInfer", of() + signature("echo") + text + whole + chosen))
    (output,) = wire.messages(answer, 5)
    assert [bytes(each) for each in wire.messages(output, 5)] == [wire.bytes_field(3, numbers)]
    many = struct.pack(f"<{count}f", *range(count))
    answer = memoryview(ask(address, "ModelInfer", of() + tensor(shape=(count,)) + wire.bytes_field(7, many)))
    assert len(next(wire.messages(answer, 6))) == 4 * count
    wrong = tensor("whole", "INT64", (count + 1,), wire.bytes_field(3, numbers))
    with pytest.raises(grpc.RpcError, match=f"{count} values do not fit"):
        ask(address, "ModelInfer", of() + signature("echo") + text + wrong)


def test_answers_and_errors_are_counted(model_server: Start, called: Called, ask: Ask) -> None:
    server = model_server(grpc_port=0)
    address = called(server)
    ask(address, "ModelInfer", of() + RAW)
    for data in (of(), of() + tensor("z"), of("other") + RAW):
        with pytest.raises(grpc.RpcError):
            ask(address, "ModelInfer", data)

    async def page() -> str:
        assert server._server is not None
        return server._server.api.metrics.page(server.manager).decode()

    counted = server.run(page())
    assert ':tensorflow:serving:request_count{model_name="m",status="OK"} 1' in counted
    assert ':tensorflow:serving:request_count{model_name="m",status="INVALID_ARGUMENT"} 2' in counted
    assert 'API="Infer",entrypoint="GRPC"' in counted and '"other"' not in counted


def test_the_callers_deadline_counts(
    model_server: Start, called: Called, add_version: Callable[..., Path], ask: Ask
) -> None:
    add_version(1, delay=1.0)
    address = called(model_server(grpc_port=0))
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{SERVICE}/ModelInfer")(of() + RAW, timeout=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED  # type: ignore[attr-defined]


def test_a_client_of_triton(model_server: Start, called: Called) -> None:
    client = pytest.importorskip("tritonclient.grpc")
    import numpy as np

    triton = client.InferenceServerClient(called(model_server(grpc_port=0)))
    assert triton.is_server_live() and triton.is_server_ready()
    assert triton.is_model_ready("m") and triton.is_model_ready("m", "1")
    assert not triton.is_model_ready("other") and not triton.is_model_ready("m", "9")
    assert triton.get_server_metadata(as_json=True)["name"] == "tiphys"
    assert triton.get_model_metadata("m", as_json=True) == {
        "name": "m",
        "versions": ["1"],
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": ["-1", "1"]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": ["-1", "1"]}],
    }
    x = client.InferInput("x", [3, 1], "FP32")
    x.set_data_from_numpy(np.array([[1], [2], [5]], np.float32))
    answer = triton.infer("m", [x], request_id="42", outputs=[client.InferRequestedOutput("y")])
    assert answer.as_numpy("y").tolist() == [[2.5], [3.0], [4.5]] and answer.get_response().id == "42"
    text, whole = client.InferInput("text", [2], "BYTES"), client.InferInput("whole", [2], "INT64")
    text.set_data_from_numpy(np.array([b"a" * 300, b"\xff"], object))
    whole.set_data_from_numpy(np.array([2**62, -1]))
    answer = triton.infer("m", [text, whole], "1", parameters={"signature_name": "echo"})
    assert answer.as_numpy("text").tolist() == [b"a" * 300, b"\xff"]
    assert answer.as_numpy("whole").tolist() == [2**62, -1]
    with pytest.raises(client.InferenceServerException, match="NOT_FOUND"):
        triton.infer("other", [x])
    triton.close()
