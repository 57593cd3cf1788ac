"""The wire: what an old client of the book's proto sees, and what hostile ones are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.training.running import Running, algorithm, running
from tiphys.net.message import bearer_token

STRING, INT32, MESSAGE, ENUM = 9, 5, 11, 14


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    rules = "[pools.default]\njobs = 1\n"
    with running(tmp_path_factory.mktemp("rpc"), rules=rules) as found:
        found.service.create_algorithm(algorithm("intent-classification"), "book")
        yield found


def call(service: Running, method: str, data: bytes, token: bytes = b"") -> bytes:
    with grpc.insecure_channel(f"127.0.0.1:{service.port}") as channel:
        metadata = [("authorization", token)] if token else None
        asked = channel.unary_unary(f"/training.TrainingService/{method}")
        return bytes(asked(data, timeout=10, metadata=metadata))


def refused(service: Running, method: str, data: bytes) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(service, method, data)
    assert "Traceback" not in (caught.value.details() or "")
    return caught.value


def books_messages() -> dict[str, Any]:
    """The proto as the book's readers have it, written down here a second time: what the wire is held to."""
    file = descriptor_pb2.FileDescriptorProto(name="book.proto", package="book", syntax="proto3")

    def message(name: str, *fields: tuple[str, int, int, str]) -> Any:
        made = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            made.field.add(name=field, number=number, type=kind, type_name=of or None, label=1)
        return made

    metadata = message(
        "Metadata", ("algorithm", 1, STRING, ""), ("dataset_id", 2, STRING, ""), ("name", 3, STRING, ""),
        ("train_data_version_hash", 4, STRING, ""), ("output_model_name", 6, STRING, ""),
    )  # fmt: skip
    entry = metadata.nested_type.add(name="ParametersEntry")
    entry.options.map_entry = True
    for number, field in enumerate(("key", "value"), 1):
        entry.field.add(name=field, number=number, type=STRING, label=1)
    metadata.field.add(
        name="parameters", number=5, type=MESSAGE, type_name=".book.Metadata.ParametersEntry", label=3
    )
    message("Train", ("metadata", 1, MESSAGE, ".book.Metadata"))
    message("Trained", ("job_id", 1, INT32, ""))
    status = file.enum_type.add(name="Status")
    for number, name in enumerate(("queuing", "launch", "running", "succeed", "failure")):
        status.value.add(name=name, number=number)
    message(
        "Told", ("status", 1, ENUM, ".book.Status"), ("job_id", 2, INT32, ""), ("message", 3, STRING, ""),
        ("metadata", 4, MESSAGE, ".book.Metadata"), ("positionInQueue", 5, INT32, ""),
    )  # fmt: skip
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"book.{name}"))
        for name in ("Train", "Trained", "Told")
    }


def test_a_client_of_the_books_proto_trains(service: Running) -> None:
    book = books_messages()
    asked = book["Train"]()
    asked.metadata.algorithm = "intent-classification"
    asked.metadata.dataset_id = "1"
    asked.metadata.train_data_version_hash = "hashDg=="
    asked.metadata.parameters["LR"] = "4"
    number = book["Trained"].FromString(call(service, "Train", asked.SerializeToString())).job_id
    assert number > 0
    told = book["Told"].FromString(
        call(service, "GetTrainingStatus", book["Trained"](job_id=number).SerializeToString())
    )
    assert (told.job_id, told.metadata.dataset_id, dict(told.metadata.parameters)) == (
        number,
        "1",
        {"LR": "4"},
    )
    second = book["Trained"].FromString(call(service, "Train", asked.SerializeToString())).job_id
    assert second == number + 1  # without a request id each is a job
    queued = book["Told"].FromString(
        call(service, "GetTrainingStatus", book["Trained"](job_id=second).SerializeToString())
    )
    assert (queued.status, queued.positionInQueue > 0) == (0, True)


def test_grpcurl_finds_the_service_by_reflection(service: Running) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{service.port}") as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = stub.ServerReflectionInfo(iter([asked]), timeout=10)
        assert "training.TrainingService" in [each.name for each in answer.list_services_response.service]


@pytest.mark.parametrize(
    ("method", "data", "status", "says"),
    [
        ("Train", b"\x0a\x04\x0a\x02\xff\xfe", "INVALID_ARGUMENT", "TIP821"),  # a name that is not UTF-8
        ("Train", b"\xff" * 40, "INVALID_ARGUMENT", "TIP821"),
        ("WatchStatus", b"\xff", "INVALID_ARGUMENT", "TIP821"),
        ("GetTrainingStatus", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "NOT_FOUND", "TIP806"),  # -1
        ("GetTrainingStatus", b"", "NOT_FOUND", "TIP806"),
        ("Cancel", b"\x08\x63", "NOT_FOUND", "TIP806"),
        ("Train", b"", "NOT_FOUND", "TIP807"),
        ("List", b"\x18\x63", "INVALID_ARGUMENT", "TIP821"),  # a status that there is not
        ("Nothing", b"", "UNIMPLEMENTED", ""),
        ("Train", b"\x0a" + b"x" * (2 << 20), "RESOURCE_EXHAUSTED", ""),
    ],
)
def test_what_cannot_be_done_has_a_status_and_says_why(
    service: Running, method: str, data: bytes, status: str, says: str
) -> None:
    if method == "WatchStatus":
        with grpc.insecure_channel(f"127.0.0.1:{service.port}") as channel:
            stream = channel.unary_stream(f"/training.TrainingService/{method}")(data, timeout=10)
            with pytest.raises(grpc.RpcError) as caught:
                next(stream)
            error = caught.value
    else:
        error = refused(service, method, data)
    assert error.code().name == status
    assert says in error.details()


def test_an_error_with_a_long_text_reaches_the_client(service: Running) -> None:
    """Red before: 8 KiB of metadata are too many for gRPC, and the client was told that instead."""
    name = "ä" * 20_000
    from tiphys.training.proto import training_service_pb2 as wire

    asked = wire.TrainRequest(metadata=wire.TrainingJobMetadata(algorithm=name))
    assert refused(service, "Train", asked.SerializeToString()).code().name == "NOT_FOUND"


def test_ten_thousand_parameters_are_refused(service: Running) -> None:
    from tiphys.training.proto import training_service_pb2 as wire

    metadata = wire.TrainingJobMetadata(
        algorithm="intent-classification", parameters={f"p{number}": "1" * 60 for number in range(10_000)}
    )
    error = refused(service, "Train", wire.TrainRequest(metadata=metadata).SerializeToString())
    assert (error.code().name, "TIP811" in error.details()) == ("INVALID_ARGUMENT", True)


def test_an_error_that_nobody_foresaw_shows_nothing_of_the_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path) as found:

        def broken(user: str) -> None:
            raise KeyError("a secret")

        monkeypatch.setattr(found.service, "pools", broken)
        error = refused(found, "ListPools", b"")
        assert (error.code().name, "secret" in error.details()) == ("INTERNAL", False)


def test_a_token_is_what_follows_bearer() -> None:
    assert [bearer_token(each) for each in ("Bearer x", "bearer  x ", "Basic x", "x", "")] == [
        "x",
        "x",
        "",
        "",
        "",
    ]
