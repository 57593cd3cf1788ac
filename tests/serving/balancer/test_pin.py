"""Requests that name no version get the one that the balancer names; the official messages judge."""

from __future__ import annotations

import pytest

from tiphys.net.protobuf import bytes_field, text
from tiphys.serving.balancer.pin import VersionPin

PIN = VersionPin("a/b", 7)
GENERATION = VersionPin("a/b", "@17")


@pytest.mark.parametrize(
    ("target", "pinned"),
    [
        ("/v1/models/a/b:predict", "/v1/models/a/b/versions/7:predict"),
        ("/v1/models/a%2Fb:classify?x=1", "/v1/models/a%2Fb/versions/7:classify?x=1"),
        ("/v1/models/a/b/metadata", "/v1/models/a/b/versions/7/metadata"),
        ("/v2/models/a/b/infer", "/v2/models/a/b/versions/7/infer"),
        ("/v2/models/a/b", "/v2/models/a/b/versions/7"),
        *(
            (each, each)
            for each in (
                "/v1/models/a/b",
                "/v1/models/a/b/versions/3:predict",
                "/v1/models/a/b/labels/stable:predict",
                "/v1/models/other:predict",
                "/v2/models/a/b/ready",
                "/",
                "/monitoring/prometheus/metrics",
            )
        ),
    ],
)
def test_targets(target: str, pinned: str) -> None:
    assert PIN.target(target) == pinned


@pytest.mark.parametrize(
    ("target", "pinned"),
    [
        ("/v1/models/a/b:predict?x", "/v1/models/a/b/labels/@17:predict?x"),
        ("/v1/models/a%2Fb/metadata", "/v1/models/a%2Fb/labels/@17/metadata"),
        ("/v2/models/a/b/infer", "/v2/models/a/b/versions/@17/infer"),
        ("/v2/models/a/b", "/v2/models/a/b/versions/@17"),
        ("/v1/models/a/b/labels/next:classify?x=1", "/v1/models/a/b/labels/next@17:classify?x=1"),
        ("/v2/models/a%2Fb/versions/next/infer", "/v2/models/a%2Fb/versions/next@17/infer"),
        ("/v2/models/a/b/versions/next", "/v2/models/a/b/versions/next@17"),
        *(
            (each, each)
            for each in (
                "/v1/models/a/b/labels/next@16:predict",
                "/v1/models/a/b/labels/@16:predict",
                "/v1/models/a/b/labels/next",
                "/v1/models/a/b/versions/3:predict",
                "/v2/models/a/b/versions/3/infer",
                "/v2/models/a/b/versions/next/ready",
                "/v1/models/other/labels/next:predict",
            )
        ),
    ],
)
def test_targets_of_a_generation(target: str, pinned: str) -> None:
    assert GENERATION.target(target) == pinned


@pytest.mark.parametrize("pin", [PIN, GENERATION, VersionPin("grüß dich/%", 0)])
def test_it_goes_along_in_a_header(pin: VersionPin) -> None:
    header = pin.names["header"]
    assert header.isascii() and " " not in header
    found = VersionPin.of_header(header)
    assert found is not None and (found.model, found.named) == (pin.model, pin.named)


@pytest.mark.parametrize(
    "text", ["", "m", "m/7", "m/versions/", "m/versions/-1", "m/labels/x", "m/versions/" + "9" * 99]
)
def test_a_header_that_is_none(text: str) -> None:
    assert VersionPin.of_header(text) is None


def test_messages_of_a_generation() -> None:
    predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    method = "/tensorflow.serving.PredictionService/Predict"
    for label, pinned in (
        (None, "@17"),
        ("next", "next@17"),
        ("next@16", "next@16"),
        ("@16", "@16"),
        ("", ""),
        (3, 3),
    ):
        asked = predict_pb2.PredictRequest()
        asked.model_spec.name, asked.model_spec.signature_name = "a/b", "s"
        if isinstance(label, int):
            asked.model_spec.version.value = label
        elif label is not None:
            asked.model_spec.version_label = label
        found = predict_pb2.PredictRequest.FromString(GENERATION.message(method, asked.SerializeToString()))
        if isinstance(pinned, str):
            asked.model_spec.version_label = pinned
        assert found == asked
    service = "/inference.GRPCInferenceService/"
    asked_open = bytes_field(1, b"a/b")
    for version, named in ((b"", "@17"), (b"next", "next@17"), (b"3", "3"), (b"next@16", "next@16")):
        told = GENERATION.message(service + "ModelInfer", asked_open + bytes_field(2, version))
        assert text(memoryview(told), 2) == named


def test_messages() -> None:
    pytest.importorskip("tensorflow")
    apis = pytest.importorskip("tensorflow_serving.apis")
    from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

    assert apis
    service = "/tensorflow.serving.PredictionService/"
    for made, method in (
        (predict_pb2.PredictRequest, "Predict"),
        (get_model_metadata_pb2.GetModelMetadataRequest, "GetModelMetadata"),
    ):
        asked = made()
        asked.model_spec.name, asked.model_spec.signature_name = "a/b", "s"
        found = made.FromString(PIN.message(service + method, asked.SerializeToString()))
        asked.model_spec.version.value = 7
        assert found == asked
        for change in ("version", "label", "name"):
            other = made()
            other.model_spec.name = "a/b"
            if change == "version":
                other.model_spec.version.value = 3
            elif change == "label":
                other.model_spec.version_label = "stable"
            else:
                other.model_spec.name = "c"
            assert PIN.message(service + method, other.SerializeToString()) == other.SerializeToString()
    asked = predict_pb2.PredictRequest()
    asked.model_spec.name = "a/b"
    data = asked.SerializeToString()
    assert PIN.message("/tensorflow.serving.ModelService/GetModelStatus", data) == data
    assert PIN.message(service + "Predict", b"\xff\xff") == b"\xff\xff"


def test_each_task_of_several() -> None:
    pytest.importorskip("tensorflow")
    inference_pb2 = pytest.importorskip("tensorflow_serving.apis.inference_pb2")
    asked = inference_pb2.MultiInferenceRequest()
    for name, version in (("a/b", 0), ("a/b", 3), ("c", 0)):
        task = asked.tasks.add()
        task.model_spec.name, task.model_spec.signature_name, task.method_name = (
            name,
            "s",
            "tensorflow/serving/regress",
        )
        if version:
            task.model_spec.version.value = version
    asked.input.example_list.examples.add().features.feature["x"].float_list.value.append(1.5)
    method = "/tensorflow.serving.PredictionService/MultiInference"
    found = inference_pb2.MultiInferenceRequest.FromString(PIN.message(method, asked.SerializeToString()))
    asked.tasks[0].model_spec.version.value = 7
    assert found == asked
    assert PIN.message(method, b"\x0a\xff") == b"\x0a\xff"


def test_messages_of_the_open_inference_protocol() -> None:
    """A text is what its last field says."""
    service = "/inference.GRPCInferenceService/"
    asked = bytes_field(1, b"a/b") + bytes_field(3, b"42")
    for method in ("ModelInfer", "ModelMetadata"):
        found = memoryview(PIN.message(service + method, asked))
        assert [text(found, each) for each in (1, 2, 3)] == ["a/b", "7", "42"]
        empty = memoryview(PIN.message(service + method, asked + bytes_field(2, b"")))
        assert text(empty, 2) == "7"
        for other in (asked + bytes_field(2, b"3"), bytes_field(1, b"c"), b"", b"\xff", b"\x18\x01" * 10**6):
            assert PIN.message(service + method, other) == other
    for method in ("ModelReady", "ServerReady"):
        assert PIN.message(service + method, asked) == asked


def test_the_official_class_reads_what_was_pinned() -> None:
    official = pytest.importorskip("tritonclient.grpc.service_pb2")
    asked = official.ModelInferRequest(model_name="a/b", id="42")
    asked.inputs.add(name="x", datatype="FP32", shape=[1])
    found = official.ModelInferRequest.FromString(
        PIN.message("/inference.GRPCInferenceService/ModelInfer", asked.SerializeToString())
    )
    asked.model_version = "7"
    assert found == asked
