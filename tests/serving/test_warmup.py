"""Calls before the first client's."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping
from pathlib import Path

import pytest

from tiphys.net import protobuf as wire
from tiphys.serving.model import Code, ModelError, Signature, Tensor, TensorInfo
from tiphys.serving.model.fake import FakeServable
from tiphys.serving.rpc import messages
from tiphys.serving.warmup import recorded, warm_up


class Recorder:
    """A servable that remembers its calls and refuses strings."""

    signatures: Mapping[str, Signature] = {
        "serving_default": Signature({"x": TensorInfo("DT_FLOAT", (-1, 3))}, {}),
        "words": Signature({"s": TensorInfo("DT_STRING", (-1,))}, {}),
        "anything": Signature({"x": TensorInfo("DT_FLOAT", None)}, {}),
        "__saved_model_init_op": Signature({}, {}),
    }

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, tuple[tuple[int, ...], list[object]]]]] = []

    def run(self, signature: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self.calls.append((signature, {k: (t.shape, list(t.values)) for k, t in inputs.items()}))
        if signature == "words":
            raise ModelError(Code.INVALID_ARGUMENT, "no words")
        return {}

    def close(self) -> None:
        pass


def record(*requests: bytes, kind: int = 6) -> bytes:
    """A TFRecord file of PredictionLogs."""
    data = b""
    for request in requests:
        entry = wire.bytes_field(kind, wire.bytes_field(1, request))
        data += struct.pack("<Q", len(entry)) + b"crc1" + entry + b"crc2"
    return data


def predict(signature: str = "") -> bytes:
    spec = wire.bytes_field(1, b"m") + (wire.bytes_field(3, signature.encode()) if signature else b"")
    tensor = Tensor("DT_FLOAT", (1, 3), array("f", [1, 2, 3]))
    return wire.bytes_field(1, spec) + wire.map_field(2, [("x", tensor)], messages.write_tensor)


def write(path: Path, data: bytes) -> Path:
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir()
    file.write_bytes(data)
    return file


def test_zeros_for_each_signature_that_can_take_them(tmp_path: Path) -> None:
    servable = Recorder()
    warm_up(servable, tmp_path)
    assert servable.calls == [
        ("serving_default", {"x": ((1, 3), [0, 0, 0])}),
        ("words", {"s": ((1,), [b""])}),
    ]


def test_recorded_requests_instead(tmp_path: Path) -> None:
    write(tmp_path, record(predict(), predict("serving_default")))
    servable = Recorder()
    warm_up(servable, tmp_path)
    assert servable.calls == [("serving_default", {"x": ((1, 3), [1, 2, 3])})] * 2


def test_a_recorded_request_that_fails_fails_the_version(tmp_path: Path) -> None:
    write(tmp_path, record(predict("words")))
    with pytest.raises(ModelError, match="no words"):
        warm_up(Recorder(), tmp_path)


def test_a_recorded_request_for_no_signature(tmp_path: Path) -> None:
    write(tmp_path, record(predict("nope")))
    with pytest.raises(ModelError, match='"nope" not found'):
        warm_up(Recorder(), tmp_path)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"short", "cut off"),
        (record(predict())[:-5], "cut off"),
        (struct.pack("<Q", 2**63) + b"crc1", "cut off"),
        (struct.pack("<Q", 3) + b"crc1\xff\xff\xffcrc2", "a number is cut off"),
        (record(*[b""] * 1001), "more than 1000 records"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, data: bytes, part: str) -> None:
    with pytest.raises(ModelError, match=part):
        list(recorded(write(tmp_path, data), Recorder.signatures))


def test_what_the_official_messages_record_is_replayed(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    apis = pytest.importorskip("tensorflow_serving.apis")
    from tensorflow_serving.apis import prediction_log_pb2

    assert apis
    classify, regress, both, nothing = (prediction_log_pb2.PredictionLog() for _ in range(4))
    classify.classify_log.request.model_spec.signature_name = "classify_x_to_y"
    regress.regress_log.request.model_spec.signature_name = "regress_x_to_y"
    request = both.multi_inference_log.request
    for method, key in (("classify", "classify_x_to_y"), ("regress", "regress_x_to_y")):
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = "m", key
    inputs = (classify.classify_log.request.input, regress.regress_log.request.input, request.input)
    for number, each in enumerate(inputs):
        example = each.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(float(number))
    data = b""
    for entry in (classify, regress, both, nothing):
        text = entry.SerializeToString()
        data += struct.pack("<Q", len(text)) + b"crc1" + text + b"crc2"
    write(tmp_path, data)
    seen: list[tuple[str, dict[str, list[float]]]] = []

    class Fake(FakeServable):
        def run(self, signature: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
            found = super().run(signature, inputs)
            seen.append((signature, {key: list(tensor.values) for key, tensor in found.items()}))
            return found

    warm_up(Fake(), tmp_path)
    assert seen == [  # 0.5 x + 2
        ("classify_x_to_y", {"scores": [2.0]}),
        ("regress_x_to_y", {"outputs": [2.5]}),
        ("classify_x_to_y", {"scores": [3.0]}),
        ("regress_x_to_y", {"outputs": [3.0]}),
    ]


@pytest.mark.parametrize("kind", [5, 7])
def test_what_no_warm_up_is_made_of(tmp_path: Path, kind: int) -> None:
    write(tmp_path, record(b"", kind=kind))
    with pytest.raises(ModelError, match=f"Unsupported log_type for warmup: {kind}") as told:
        warm_up(Recorder(), tmp_path)
    assert told.value.code is Code.UNIMPLEMENTED
