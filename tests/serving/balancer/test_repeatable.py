"""What may run twice."""

from __future__ import annotations

import pytest

from tiphys.net import HttpRequest
from tiphys.serving.balancer.repeatable import asks_model, is_safe_rpc, may_repeat

CALL = [(b"content-type", b"application/grpc")]


@pytest.mark.parametrize(
    ("method", "path", "call", "safe"),
    [
        ("GET", "/x", False, True),
        ("POST", "/v1/models/m:Predict?x=1", False, True),
        ("POST", "/v2/models/m/infer", False, True),
        ("POST", "/v1/train", False, False),
        ("POST", "/tensorflow.serving.PredictionService/Predict", True, True),
        ("POST", "/tensorflow.serving.PredictionService/Predict", False, False),
        ("POST", "/tensorflow.serving.ModelService/HandleReloadConfigRequest", True, False),
        ("POST", "/a.B/Unknown", True, False),
    ],
)
def test_what_may_run_twice(method: str, path: str, call: bool, safe: bool) -> None:
    request = HttpRequest(method, path, CALL if call else [], b"")
    assert may_repeat(request) == safe
    assert asks_model(request) == (path.startswith("/v") and safe)
    if call:
        assert is_safe_rpc(path) == safe
