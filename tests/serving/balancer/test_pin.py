"""Requests that name no version get the one that the balancer names; the official messages judge."""

from __future__ import annotations

import pytest

from tiphys.serving.balancer.pin import VersionPin

PIN = VersionPin("a/b", 7)


@pytest.mark.parametrize(
    ("target", "pinned"),
    [
        ("/v1/models/a/b:predict", "/v1/models/a/b/versions/7:predict"),
        ("/v1/models/a%2Fb:classify?x=1", "/v1/models/a%2Fb/versions/7:classify?x=1"),
        ("/v1/models/a/b/metadata", "/v1/models/a/b/versions/7/metadata"),
        ("/v2/models/a/b/infer", "/v2/models/a/b/versions/7/infer"),
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
