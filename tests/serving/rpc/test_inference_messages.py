"""The messages of the Open Inference Protocol: written down by hand, and as protobuf's own classes have them."""

from __future__ import annotations

import struct
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.net import protobuf as wire
from tiphys.serving.model.inference import DATATYPES, ModelAbout, TensorAbout
from tiphys.serving.model.servable import MAX_RANK, Code, ModelError, Signature, Tensor, TensorInfo
from tiphys.serving.rpc.inference_messages import (
    InferMessage,
    about_response,
    asked_model,
    infer_response,
    server_response,
    typed_tensors,
)


def packed(field: int, *values: int) -> bytes:
    return wire.bytes_field(field, b"".join(map(wire.varint, values)))


def tensor(datatype: str, shape: tuple[int, ...], contents: bytes = b"", name: str = "x") -> bytes:
    """An InferInputTensor in a ModelInferRequest."""
    head = wire.bytes_field(1, name.encode()) + wire.bytes_field(2, datatype.encode()) + packed(3, *shape)
    return wire.bytes_field(5, head + (wire.bytes_field(5, contents) if contents else b""))


def raw(content: bytes) -> bytes:
    return wire.bytes_field(7, content)


def read(data: bytes, datatype: str = "FP32") -> Tensor:
    signature = Signature({"x": TensorInfo(DATATYPES[datatype], None)}, {"y": TensorInfo("DT_FLOAT", None)})
    return typed_tensors(data, signature)["x"]


CASES: list[tuple[str, list[Any], bytes, str]] = [
    ("BOOL", [1, 0, 1], packed(1, 1, 0, 2), "?"),
    ("INT8", [1, -2, 127], packed(2, 1, -2, 127), "b"),
    ("INT16", [1, -2, 300], packed(2, 1, -2, 300), "h"),
    ("INT32", [1, -2, 2**31 - 1], packed(2, 1, -2, 2**31 - 1), "i"),
    ("INT64", [1, -(2**63), 2**62], packed(3, 1, -(2**63), 2**62), "q"),
    ("UINT8", [1, 2, 255], packed(4, 1, 2, 255), "B"),
    ("UINT16", [1, 2, 65535], packed(4, 1, 2, 65535), "H"),
    ("UINT32", [1, 2, 2**32 - 1], packed(4, 1, 2, 2**32 - 1), "I"),
    ("UINT64", [1, 2, 2**64 - 1], packed(5, 1, 2, 2**64 - 1), "Q"),
    ("FP32", [1.5, -2, 3], wire.bytes_field(6, struct.pack("<3f", 1.5, -2, 3)), "f"),
    ("FP64", [1.5, -2, 1e300], wire.bytes_field(7, struct.pack("<3d", 1.5, -2, 1e300)), "d"),
    ("FP16", [1.5, -2, 3], b"", "e"),
]


@pytest.mark.parametrize(("datatype", "values", "contents", "code"), CASES, ids=[each[0] for each in CASES])
def test_contents(datatype: str, values: list[Any], contents: bytes, code: str) -> None:
    elements = struct.pack(f"<3{code}", *values)
    found = read(tensor(datatype, (3, 1)) + raw(elements), datatype)
    assert (found.dtype, found.shape, list(found.values)) == (DATATYPES[datatype], (3, 1), values)
    if not contents:
        with pytest.raises(ModelError, match="FP16 comes in raw contents alone"):
            read(tensor(datatype, (3, 1)), datatype)
        return
    typed = read(tensor(datatype, (3, 1), contents), datatype)
    assert (typed.shape, list(typed.values)) == ((3, 1), values)
    assert type(typed.values) is type(found.values)
    # and back, as it was sent
    answer = memoryview(infer_response("m", 1, "", [("y", datatype, found)], raw=True))
    assert [bytes(each) for each in wire.messages(answer, 6)] == [elements]
    (output,) = wire.messages(memoryview(infer_response("m", 1, "", [("y", datatype, typed)], raw=False)), 5)
    (shown,) = wire.messages(output, 5)
    assert bytes(shown) == (packed(1, 1, 0, 1) if datatype == "BOOL" else contents)


def test_texts() -> None:
    elements = b"\x02\0\0\0ab" + b"\0\0\0\0" + b"\x01\0\0\0\xff"
    contents = b"".join(wire.bytes_field(8, each) for each in (b"ab", b"", b"\xff"))
    for data in (tensor("BYTES", (3,)) + raw(elements), tensor("BYTES", (3,), contents)):
        assert read(data, "BYTES").values == [b"ab", b"", b"\xff"]
    value = Tensor("DT_STRING", (3,), [b"ab", b"", b"\xff"])
    answer = memoryview(infer_response("m", 1, "", [("y", "BYTES", value)], raw=True))
    assert [bytes(each) for each in wire.messages(answer, 6)] == [elements]
    (output,) = wire.messages(memoryview(infer_response("m", 1, "", [("y", "BYTES", value)], raw=False)), 5)
    assert [bytes(each) for each in wire.messages(output, 5)] == [contents]


def test_contents_that_are_not_packed_or_come_in_parts() -> None:
    numbers = b"".join(wire.varint(3 << 3) + wire.varint(each) for each in (300, -1)) + packed(3, 5, 6)
    assert list(read(tensor("INT64", (4,), numbers), "INT64").values) == [300, -1, 5, 6]
    floats = wire.float_field(6, 1.5) + wire.bytes_field(6, struct.pack("<2f", 2, 3))
    assert list(read(tensor("FP32", (3,), floats)).values) == [1.5, 2, 3]
    head = wire.bytes_field(1, b"x") + wire.bytes_field(2, b"FP32")
    halves = [wire.bytes_field(5, wire.float_field(6, each)) for each in (1.5, 2.5)]
    sizes = b"".join(wire.int_field(3, each) for each in (2, 1))
    found = read(wire.bytes_field(5, head + halves[0] + sizes + halves[1]))
    assert (found.shape, list(found.values)) == ((2, 1), [1.5, 2.5])


def test_an_output_without_typed_contents_makes_all_of_them_raw() -> None:
    outputs = [("a", "FP16", Tensor("DT_HALF", (1,), [1.5])), ("b", "INT8", Tensor("DT_INT8", (1,), [-1]))]
    answer = memoryview(infer_response("m", 7, "42", outputs, raw=False))
    assert [bytes(each) for each in wire.messages(answer, 6)] == [struct.pack("<e", 1.5), b"\xff"]
    assert [wire.text(answer, each) for each in (1, 2, 3)] == ["m", "7", "42"]
    assert not [1 for each in wire.messages(answer, 5) for _ in wire.messages(each, 5)]
    of_none = memoryview(infer_response("m", 7, "", [("a", "FP32", Tensor("DT_FLOAT", (0,), []))], raw=False))
    assert [key for key, _ in wire.fields(of_none)] == [1, 2, 5]


def test_a_request_is_what_it_asks_for() -> None:
    parameter = wire.bytes_field(1, b"signature_name") + wire.bytes_field(2, wire.bytes_field(3, b"echo"))
    other = wire.bytes_field(1, b"priority") + wire.bytes_field(2, wire.int_field(2, 3))
    head = wire.bytes_field(1, b"m") + wire.bytes_field(2, b"3") + wire.bytes_field(3, b"42")
    outputs = b"".join(wire.bytes_field(6, wire.bytes_field(1, each)) for each in (b"b", b"a"))
    data = head + wire.bytes_field(4, other) + wire.bytes_field(4, parameter) + outputs
    assert asked_model(data) == ("m", "3")
    message = InferMessage.read(data + tensor("FP32", (1,)) + raw(b"\0\0\0\0"))
    assert (message.raw, message.request.identity, message.request.signature) == (True, "42", "echo")
    assert message.request.outputs == ("b", "a") and [*message.request.inputs] == ["x"]
    plain = InferMessage.read(tensor("FP32", (1,)))
    assert (plain.raw, plain.request.signature) == (False, "serving_default")


FOUR = struct.pack("<f", 1)


@pytest.mark.parametrize(
    ("data", "datatype", "part"),
    [
        (b"\xff\xff\xff", "FP32", "the message cannot be read: a number is cut off"),
        (wire.bytes_field(5, b"\x0a\x05x"), "FP32", "the message cannot be read: a field is cut off"),
        (wire.int_field(5, 7), "FP32", "'inputs' has none"),
        (b"", "FP32", "'inputs' has none"),
        (tensor("FP32", (1,), name=""), "FP32", "a name and a datatype"),
        (tensor("FP32", (1,)) * 2, "FP32", "'x' is there twice"),
        (tensor("FP32", (-1,)) + raw(FOUR), "FP32", "whole numbers"),
        (tensor("FP32", (2**62, 2**62)) + raw(FOUR), "FP32", "larger than that of a tensor"),
        (tensor("FP32", (1,) * 10**5) + raw(FOUR), "FP32", "larger than that of a tensor"),
        (tensor("FP32", (2**39,)) + raw(FOUR), "FP32", "4 bytes of FP32 do not fit [549755813888]"),
        (tensor("BYTES", (2**39,)) + raw(FOUR), "BYTES", "4 bytes of BYTES do not fit [549755813888]"),
        (tensor("INT64", (2**39,), packed(3, 1)), "INT64", "1 values do not fit [549755813888]"),
        (tensor("FP32", (2**39,), wire.bytes_field(6, FOUR)), "FP32", "1 values do not fit"),
        (tensor("BYTES", (2**39,), wire.bytes_field(8, b"a")), "BYTES", "1 values do not fit"),
        (tensor("FP32", (1,)), "FP32", "0 values do not fit [1]"),
        (tensor("FP32", (1,)) + raw(FOUR * 2), "FP32", "8 bytes of FP32 do not fit [1]"),
        (tensor("FP32", (1,)) + raw(FOUR[:3]), "FP32", "3 bytes of FP32 do not fit [1]"),
        (tensor("FP32", (1,), wire.bytes_field(6, FOUR[:3])), "FP32", "cut off: 3 bytes of FP32"),
        (tensor("FP32", (1,)) + raw(FOUR) * 2, "FP32", "raw contents of 2 inputs, and 1 inputs"),
        (tensor("FP32", (1,), wire.bytes_field(6, FOUR)) + raw(FOUR), "FP32", "twice, raw and typed"),
        (tensor("FP32", (1,), packed(2, 1)), "FP32", "not in the field of FP32"),
        (tensor("INT64", (1,), packed(3, 1) + b"\x80"), "INT64", "input 'x': a number is cut off"),
        (tensor("INT64", (1,), wire.bytes_field(3, b"\x80")), "INT64", "0 values do not fit [1]"),
        (tensor("INT64", (1,), wire.bytes_field(3, b"\x01\x80")), "INT64", "a number is cut off"),
        (tensor("INT8", (1,), packed(2, 300)), "INT8", "a value is no INT8"),
        (tensor("UINT8", (1,), packed(4, 300)), "UINT8", "a value is no UINT8"),
        (tensor("BYTES", (1,)) + raw(b"\x02\0\0\0a"), "BYTES", "its texts are cut off"),
        (tensor("BYTES", (2,)) + raw(b"\x02\0\0\0ab\0"), "BYTES", "7 bytes of BYTES do not fit [2]"),
        (tensor("BYTES", (2,)) + raw(b"\x03\0\0\0abc\0"), "BYTES", "its texts are cut off"),
        (tensor("BYTES", (1,)) + raw(b"\0\0\0\0\0"), "BYTES", "5 bytes of BYTES do not fit [1]"),
        (tensor("FP32", (1,)) + wire.bytes_field(6, b"\x0a\x01y") * 2, "FP32", "'y' is asked for twice"),
        (tensor("FP32", (1,)) + wire.bytes_field(6, b"") * 10**5, "FP32", "too many"),
        (b"\x08\x01" * 200_000, "FP32", "there are too many fields"),
    ],
)  # fmt: skip
def test_messages_that_are_wrong(data: bytes, datatype: str, part: str) -> None:
    with pytest.raises(ModelError) as caught:
        read(data, datatype)
    assert caught.value.code is Code.INVALID_ARGUMENT and part in caught.value.message


def test_a_model_must_be_named() -> None:
    for data, part in (
        (b"", "names no model"),
        (b"\xff", "cannot be read"),
        (b"\x18\x01" * 10**6, "too many"),
    ):
        with pytest.raises(ModelError, match=part) as caught:
            asked_model(data)
        assert caught.value.code is Code.INVALID_ARGUMENT


@given(st.binary(max_size=200), st.sampled_from(sorted(DATATYPES)))
def test_any_bytes_are_a_request_or_one_error(data: bytes, datatype: str) -> None:
    for whole in (
        data,
        wire.bytes_field(5, data),
        tensor(datatype, (1,), data),
        tensor(datatype, (2,)) + raw(data),
    ):
        try:
            read(whole, datatype)
        except ModelError as error:
            assert error.code is Code.INVALID_ARGUMENT


def test_a_shape_has_as_many_sizes_as_a_tensor_has_at_most() -> None:
    found = read(tensor("FP32", (1,) * MAX_RANK) + raw(FOUR))
    assert len(found.shape) == MAX_RANK


# ---- protobuf's own classes
@pytest.fixture(scope="module")
def official() -> Any:
    return pytest.importorskip("tritonclient.grpc.service_pb2")


def test_the_official_classes_read_what_is_written(official: Any) -> None:
    about = ModelAbout("m", ("1", "2"), (TensorAbout("x", "FP32", (-1, 2)),), (TensorAbout("y", "INT8", ()),))
    told = official.ModelMetadataResponse.FromString(about_response(about))
    assert (told.name, [*told.versions], told.platform) == ("m", ["1", "2"], "tensorflow_savedmodel")
    assert [(each.name, each.datatype, [*each.shape]) for each in told.inputs] == [("x", "FP32", [-1, 2])]
    assert [(each.name, each.datatype, [*each.shape]) for each in told.outputs] == [("y", "INT8", [])]
    server = official.ServerMetadataResponse.FromString(server_response("tiphys", "1.0"))
    assert (server.name, server.version, [*server.extensions]) == ("tiphys", "1.0", [])
    outputs = [
        ("a", "INT64", Tensor("DT_INT64", (2,), array("q", [2**62, -1]))),
        ("b", "BYTES", Tensor("DT_STRING", (1,), [b"\xff"])),
    ]
    answer = official.ModelInferResponse.FromString(infer_response("m", 7, "42", outputs, raw=False))
    assert (answer.model_name, answer.model_version, answer.id) == ("m", "7", "42")
    assert [*answer.outputs[0].contents.int64_contents] == [2**62, -1]
    assert [*answer.outputs[1].contents.bytes_contents] == [b"\xff"]
    assert [[*each.shape] for each in answer.outputs] == [[2], [1]]


FIELDS = {
    "BOOL": "bool", "INT8": "int", "INT16": "int", "INT32": "int", "INT64": "int64", "UINT8": "uint",
    "UINT16": "uint", "UINT32": "uint", "UINT64": "uint64", "FP32": "fp32", "FP64": "fp64",
}  # fmt: skip


@pytest.mark.parametrize("case", [each for each in CASES if each[0] in FIELDS], ids=lambda case: case[0])
def test_what_the_official_classes_write_is_read(
    official: Any, case: tuple[str, list[Any], bytes, str]
) -> None:
    datatype, values, *_ = case
    asked = official.ModelInferRequest(model_name="m", model_version="3", id="42")
    asked.parameters["signature_name"].string_param = "echo"
    asked.parameters["priority"].uint64_param = 1
    given = asked.inputs.add(name="x", datatype=datatype, shape=[3])
    getattr(given.contents, f"{FIELDS[datatype]}_contents").extend(values)
    asked.outputs.add(name="y")
    data = asked.SerializeToString()
    message = InferMessage.read(data)
    assert asked_model(data) == ("m", "3")
    assert (message.request.identity, message.request.signature, message.request.outputs) == (
        "42",
        "echo",
        ("y",),
    )
    assert list(read(data, datatype).values) == values
