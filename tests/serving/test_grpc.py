"""The gRPC API: with raw bytes, and with the official client where it is installed."""

from __future__ import annotations

import struct
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.net import protobuf as wire
from tiphys.serving.model import ModelError, Tensor
from tiphys.serving.rpc import messages
from tiphys.serving.server import ModelServer

Start = Callable[..., ModelServer]


# ---- messages
# TensorProto{dtype: DT_FLOAT tensor_shape{dim{size: 2}} float_val: [1.5, -2]}, written down by hand
FLOATS = b"\x08\x01" + b"\x12\x04\x12\x02\x08\x02" + b"\x2a\x08" + struct.pack("<2f", 1.5, -2)


def test_a_tensor_by_hand() -> None:
    tensor = Tensor("DT_FLOAT", (2,), array("f", [1.5, -2]))
    assert messages.write_tensor(tensor) == FLOATS
    found = messages.read_tensor(memoryview(FLOATS))
    assert (found.dtype, found.shape, list(found.values)) == ("DT_FLOAT", (2,), [1.5, -2])


def tensor_bytes(dtype: int, shape: list[int], *parts: bytes) -> memoryview:
    dims = b"".join(wire.bytes_field(2, wire.int_field(1, size)) for size in shape)
    return memoryview(wire.int_field(1, dtype) + wire.bytes_field(2, dims) + b"".join(parts))


def test_values_that_are_missing_are_the_last_one_or_zero() -> None:
    one = tensor_bytes(3, [2, 2], wire.bytes_field(7, wire.varint(7)))
    assert list(messages.read_tensor(one).values) == [7, 7, 7, 7]
    none = tensor_bytes(1, [3])
    assert list(messages.read_tensor(none).values) == [0, 0, 0]
    wave = tensor_bytes(8, [3], wire.bytes_field(9, struct.pack("<3f", 1, 2, 9)))  # one and a half
    assert list(messages.read_tensor(wave).values) == [1, 2] * 3
    strings = tensor_bytes(7, [2], wire.bytes_field(8, b"x"))
    assert messages.read_tensor(strings).values == [b"x", b"x"]


def test_tensor_content() -> None:
    raw = struct.pack("<3h", 1, -2, 3)
    assert list(messages.read_tensor(tensor_bytes(5, [3], wire.bytes_field(4, raw))).values) == [1, -2, 3]
    strings = bytes((2, 0, 3)) + b"abxyz"  # core::EncodeStringList
    found = messages.read_tensor(tensor_bytes(7, [3], wire.bytes_field(4, strings)))
    assert found.values == [b"ab", b"", b"xyz"]


def test_unpacked_and_cut_values() -> None:
    unpacked = b"".join(wire.varint(7 << 3) + wire.varint(value) for value in (300, -1))
    assert messages.read_tensor(tensor_bytes(4, [2], unpacked)).values == bytes((44, 255))
    assert list(messages.read_tensor(tensor_bytes(6, [2], unpacked)).values) == [44, -1]


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (tensor_bytes(1, [-1]), "cannot have the shape"),
        (tensor_bytes(1, [2**40, 2**40]), "cannot have the shape"),
        (tensor_bytes(1, [2**39]), "values from 0"),
        (tensor_bytes(1, [2], wire.bytes_field(4, b"abc")), "3 bytes for 2 values of float"),
        (tensor_bytes(7, [2], wire.bytes_field(4, b"\x05\x05abc")), "cut off"),
        (tensor_bytes(8, [1], wire.bytes_field(4, b"abcd")), "4 bytes for 1 values of complex64"),
        (tensor_bytes(14, [1]), "bfloat16 are not supported"),
        (tensor_bytes(0, [1]), "not supported"),
    ],
)
def test_tensors_that_are_wrong(data: memoryview, part: str) -> None:
    with pytest.raises(ModelError, match=part):
        messages.read_tensor(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_one_error(data: bytes) -> None:
    try:
        messages.PredictRequest.read(data)
        messages.examples_of(data)
    except (wire.WireError, ModelError) as error:
        assert str(error)


tensors = st.one_of(
    st.lists(st.floats(width=32, allow_nan=False)).map(
        lambda v: Tensor("DT_FLOAT", (len(v),), array("f", v))
    ),
    st.lists(st.floats(allow_nan=False)).map(lambda v: Tensor("DT_DOUBLE", (len(v), 1), array("d", v))),
    st.lists(st.integers(-(2**63), 2**63 - 1)).map(lambda v: Tensor("DT_INT64", (1, len(v)), array("q", v))),
    st.lists(st.integers(0, 2**64 - 1)).map(lambda v: Tensor("DT_UINT64", (len(v),), array("Q", v))),
    st.lists(st.integers(-128, 127)).map(lambda v: Tensor("DT_INT8", (len(v),), array("b", v))),
    st.binary().map(lambda v: Tensor("DT_UINT8", (len(v),), v)),
    st.lists(st.binary(max_size=200)).map(lambda v: Tensor("DT_STRING", (len(v),), v)),
    st.lists(st.floats(width=16, allow_nan=False)).map(lambda v: Tensor("DT_HALF", (len(v),), array("f", v))),
    st.lists(st.floats(width=32, allow_nan=False)).map(
        lambda v: Tensor("DT_COMPLEX64", (len(v),), array("f", [*v, *v]))
    ),
)


@given(tensors)
def test_tensors_come_back(tensor: Tensor) -> None:
    found = messages.read_tensor(memoryview(messages.write_tensor(tensor)))
    assert (found.dtype, found.shape, list(found.values)) == (tensor.dtype, tensor.shape, list(tensor.values))


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_come_back(value: int) -> None:
    assert wire.number(memoryview(wire.int_field(9, value)), 9) == value


# ---- calls
@pytest.fixture
def grpc() -> Any:
    return pytest.importorskip("grpc")


@pytest.fixture
def channel(grpc: Any, called: Callable[[ModelServer], str]) -> Iterator[Callable[[ModelServer], Any]]:
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(grpc.insecure_channel(called(server)))


def spec(name: str = "m", **options: Any) -> bytes:
    data = wire.bytes_field(1, name.encode())
    if "version" in options:
        data += wire.bytes_field(2, wire.int_field(1, options["version"]))
    if "label" in options:
        data += wire.bytes_field(4, options["label"].encode())
    if "signature" in options:
        data += wire.bytes_field(3, options["signature"].encode())
    return wire.bytes_field(1, data)


def x(*values: float, name: str = "x") -> bytes:
    tensor = Tensor("DT_FLOAT", (len(values),), array("f", values))
    return wire.map_field(2, [(name, tensor)], messages.write_tensor)


PREDICT = "/tensorflow.serving.PredictionService/Predict"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
MULTI = "/tensorflow.serving.PredictionService/MultiInference"


def task(signature: str, method: str = "tensorflow/serving/regress", name: str = "m") -> bytes:
    """A task of a MultiInferenceRequest."""
    return wire.bytes_field(1, spec(name, signature=signature) + wire.bytes_field(2, method.encode()))


def test_predict_and_status(model_server: Start, channel: Any) -> None:
    connection = channel(model_server(grpc_port=0))
    answer = memoryview(connection.unary_unary(PREDICT)(spec() + x(1, 2, 5), timeout=20))
    (y,) = wire.message_map(answer, 1).values()
    assert list(messages.read_tensor(y).values) == [2.5, 3.0, 4.5]
    used = messages.ModelSpec.read(answer, 2)
    assert (used.name, used.version, used.signature) == ("m", 1, "serving_default")
    status = memoryview(connection.unary_unary(STATUS)(spec(), timeout=20))
    (row,) = wire.messages(status, 1)
    assert (wire.number(row, 1), wire.number(row, 2)) == (1, 30)


@pytest.mark.parametrize(
    ("path", "request_bytes", "code", "text"),
    [
        (PREDICT, spec("other") + x(1), "NOT_FOUND", "Servable not found for request: Latest(other)"),
        (PREDICT, spec(version=9) + x(1), "NOT_FOUND", "Servable not found for request: Specific(m, 9)"),
        (PREDICT, spec(label="no") + x(1), "INVALID_ARGUMENT", "Unrecognized servable version label: no"),
        (PREDICT, x(1), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (PREDICT, spec(""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (PREDICT, spec(signature="no") + x(1), "FAILED_PRECONDITION", 'Serving signature key "no" not found.'),
        (PREDICT, spec(), "INVALID_ARGUMENT",
         "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}."),
        (PREDICT, spec() + x(1, name="z"), "INVALID_ARGUMENT",
         "input size does not match signature: 1!=1 len({z}) != len({x}). Sent extra: {z}. Missing but required: {x}."),
        (PREDICT, spec() + x(1) + wire.bytes_field(3, b"no"), "INVALID_ARGUMENT",
         "output tensor alias not found in signature: no Outputs expected to be in the set {y}."),
        (PREDICT, b"\xff\xff\xff", "INTERNAL", "Failed to parse the request: a number is cut off or too long"),
        (STATUS, spec("other"), "NOT_FOUND", "Could not find any versions of model other"),
        ("/tensorflow.serving.PredictionService/Nothing", b"", "UNIMPLEMENTED", "Method not found!"),
        (MULTI, b"", "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (MULTI, task("regress_x_to_y", name="other"), "NOT_FOUND", "Servable not found for request: Latest(other)"),
        (MULTI, task("regress_x_to_y") + task("classify_x_to_y", name=""), "INVALID_ARGUMENT",
         "Found ModelSpec with an empty model name."),
        (MULTI, task("regress_x_to_y") + task("classify_x_to_y", name="n"), "INVALID_ARGUMENT",
         "All ModelSpecs in a MultiInferenceRequest must access the same model name."),
        (MULTI, task("regress_x_to_y") * 2, "INVALID_ARGUMENT", "Duplicate evaluation of signature: regress_x_to_y"),
        (MULTI, task("no"), "INVALID_ARGUMENT", "Requested signature not found in model graph: no"),
        (MULTI, task("regress_x_to_y", "tensorflow/serving/predict"), "UNIMPLEMENTED",
         "Unsupported signature method_name: tensorflow/serving/predict"),
        (MULTI, task("classify_x_to_y"), "INVALID_ARGUMENT",
         "Expected regression signature method_name to be tensorflow/serving/regress. "
         "Was: tensorflow/serving/classify"),
        (MULTI, task("regress_x_to_y"), "INVALID_ARGUMENT", "Input is empty."),
    ],
)  # fmt: skip
def test_errors(
    model_server: Start, channel: Any, grpc: Any, path: str, request_bytes: bytes, code: str, text: str
) -> None:
    connection = channel(model_server(grpc_port=0))
    with pytest.raises(grpc.RpcError) as caught:
        connection.unary_unary(path)(request_bytes, timeout=20)
    assert (caught.value.code().name, caught.value.details()) == (code, text)


def test_the_callers_deadline_counts(
    model_server: Start, add_version: Callable[..., Path], channel: Any, grpc: Any
) -> None:
    add_version(1, delay=1.0)
    connection = channel(model_server(grpc_port=0))
    with pytest.raises(grpc.RpcError) as caught:
        connection.unary_unary(PREDICT)(spec() + x(1), timeout=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_connection_gets_old_and_its_client_notices_nothing(model_server: Start, grpc: Any) -> None:
    server = model_server(grpc_port=0, grpc_arguments=[("grpc.max_connection_age_ms", 100)])
    states: list[Any] = []
    with grpc.insecure_channel(server.grpc_address) as connection:
        connection.subscribe(states.append)
        end = time.monotonic() + 20
        while states.count(grpc.ChannelConnectivity.READY) < 3 and time.monotonic() < end:
            assert connection.unary_unary(STATUS)(spec(), timeout=20)
    assert states.count(grpc.ChannelConnectivity.READY) >= 3


def test_health(model_server: Start, channel: Any, grpc: Any) -> None:
    connection = channel(model_server(grpc_port=0))
    check = connection.unary_unary("/grpc.health.v1.Health/Check")
    assert check(b"", timeout=20) == b"\x08\x01"
    assert check(wire.bytes_field(1, b"tensorflow.serving.PredictionService"), timeout=20) == b"\x08\x01"
    with pytest.raises(grpc.RpcError) as caught:
        check(wire.bytes_field(1, b"unknown"), timeout=20)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    watch = connection.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=20)
    try:
        assert next(watch) == b"\x08\x01"
        watch.cancel()
    except (
        grpc.RpcError
    ) as error:  # there are no streams over HTTP/1.1; whoever watches asks again and again then
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_the_official_client(model_server: Start, channel: Any, grpc: Any, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow_serving")
    pytest.importorskip("tensorflow")
    import tensorflow as tf
    from tensorflow_serving.apis import (
        classification_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        inference_pb2,
        model_management_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
        regression_pb2,
    )

    connection = channel(model_server(grpc_port=0))
    prediction = prediction_service_pb2_grpc.PredictionServiceStub(connection)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.model_spec.version.value = 1
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0], [2.0]], shape=[2, 1]))
    answer = prediction.Predict(request, timeout=20)
    assert tf.make_ndarray(answer.outputs["y"]).tolist() == [[2.5], [3.0]]
    assert answer.model_spec.version.value == 1 and answer.model_spec.signature_name == "serving_default"

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "m", "echo"
    request.inputs["text"].CopyFrom(tf.make_tensor_proto([b"a" * 300, b"\xff"]))
    request.inputs["whole"].CopyFrom(tf.make_tensor_proto([2**62, -1], dtype=tf.int64))
    request.output_filter.extend(["whole", "text"])
    answer = prediction.Predict(request, timeout=20)
    assert sorted(answer.outputs) == ["text", "whole"]
    assert tf.make_ndarray(answer.outputs["text"]).tolist() == [b"a" * 300, b"\xff"]
    assert tf.make_ndarray(answer.outputs["whole"]).tolist() == [2**62, -1]

    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(80.0)
    regression = regression_pb2.RegressionRequest()
    regression.model_spec.name, regression.model_spec.signature_name = "m", "regress_x_to_y"
    regression.input.example_list.examples.append(example)
    assert [r.value for r in prediction.Regress(regression, timeout=20).result.regressions] == [42.0]
    classification = classification_pb2.ClassificationRequest()
    classification.model_spec.name, classification.model_spec.signature_name = "m", "classify_x_to_y"
    classification.input.example_list_with_context.examples.append(example)
    (row,) = prediction.Classify(classification, timeout=20).result.classifications
    assert [(c.label, c.score) for c in row.classes] == [("", 42.0)]

    several = inference_pb2.MultiInferenceRequest()
    for method in ("classify", "regress"):
        asked = several.tasks.add()
        asked.method_name = f"tensorflow/serving/{method}"
        asked.model_spec.name, asked.model_spec.signature_name = "m", f"{method}_x_to_y"
    several.input.example_list.examples.append(example)
    first, second = prediction.MultiInference(several, timeout=20).results
    assert first.model_spec.signature_name == "classify_x_to_y" and first.model_spec.version.value == 1
    assert [c.score for c in first.classification_result.classifications[0].classes] == [42.0]
    assert [r.value for r in second.regression_result.regressions] == [42.0]

    metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata.model_spec.name = "m"
    packed = prediction.GetModelMetadata(metadata, timeout=20).metadata["signature_def"]
    found = get_model_metadata_pb2.SignatureDefMap()
    assert packed.Unpack(found)
    definition = found.signature_def["images"]
    assert [d.size for d in definition.inputs["images"].tensor_shape.dim] == [-1, 28, 28]
    assert found.signature_def["regress_x_to_y"].inputs["inputs"].tensor_shape.unknown_rank

    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "m"
    models = model_service_pb2_grpc.ModelServiceStub(connection)
    reload = model_management_pb2.ReloadConfigRequest()
    config = reload.config.model_config_list.config.add(name="m", base_path=str(tmp_path / "model"))
    config.model_version_policy.specific.versions.append(1)
    config.version_labels["stable"] = 1
    assert models.HandleReloadConfigRequest(reload, timeout=20).status.error_code == 0
    request.model_spec.version_label = "stable"
    assert sorted(prediction.Predict(request, timeout=20).outputs) == ["text", "whole"]
    config.version_labels["stable"] = 7
    with pytest.raises(grpc.RpcError) as caught:
        models.HandleReloadConfigRequest(reload, timeout=20)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    config.version_labels["stable"] = 1
    config.logging_config.sampling_config.sampling_rate = 0.5
    with pytest.raises(grpc.RpcError) as caught:
        models.HandleReloadConfigRequest(reload, timeout=20)
    assert caught.value.details() == "No request-logger-creator provided."
    (version,) = models.GetModelStatus(status, timeout=20).model_version_status
    assert (version.version, version.state, version.status.error_code) == (1, 30, 0)


def many_parts(count: int) -> bytes:
    """A Predict of one value, in a message of as many fields."""
    return wire.bytes_field(
        2,
        wire.bytes_field(1, b"x")
        + wire.bytes_field(
            2, bytes(tensor_bytes(1, [1, 1], struct.pack("<Bf", 5 << 3 | 5, 1.5))) + b"\x78\x01" * count
        ),
    )


def test_what_is_dear_to_read_holds_nobody_up(model_server: Start, channel: Any, grpc: Any) -> None:
    """A request of a million small fields, and small ones beside it: these are answered first."""
    predict = channel(model_server(grpc_port=0)).unary_unary("/tensorflow.serving.PredictionService/Predict")
    small = spec() + x(1.0)
    assert not messages.is_light(many_parts(wire.MOST * 3)) and messages.is_light(small)
    large = predict.future(spec() + many_parts(1_000_000), timeout=120)
    for _ in range(20):
        predict(small, timeout=120)
    assert not large.done()
    (answer,) = wire.message_map(memoryview(large.result()), 1).values()
    assert list(messages.read_tensor(answer).values) == [2.75]


@pytest.mark.parametrize(
    "method", ["PredictionService/Predict", "PredictionService/Classify", "ModelService/GetModelStatus"]
)
def test_a_request_is_a_few_fields(model_server: Start, channel: Any, grpc: Any, method: str) -> None:
    call = channel(model_server(grpc_port=0)).unary_unary(f"/tensorflow.serving.{method}")
    with pytest.raises(grpc.RpcError) as told:
        call(spec() + b"\x78\x01" * wire.MOST, timeout=60)
    assert told.value.code() is grpc.StatusCode.INVALID_ARGUMENT and "fields" in told.value.details()
    with pytest.raises(wire.WireError):
        messages.ModelSpec.read(memoryview(spec() + b"\x78\x01" * wire.MOST))
