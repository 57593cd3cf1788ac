"""What may run twice: where a replica dies, it is asked of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.serving.rpc.frames import is_call

if TYPE_CHECKING:
    from tiphys.net import HttpRequest

__all__ = ["SAFE_ENDS", "SAFE_METHODS", "SAFE_RPCS", "asks_model", "is_safe_rpc", "may_repeat"]

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"))
SAFE_ENDS = (":predict", ":classify", ":regress", "/infer")
"""Ends of paths: these change nothing either."""
SAFE_RPCS = frozenset(
    (
        "Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata", "GetModelStatus",
        "ModelInfer", "ModelMetadata", "ModelReady", "ServerLive", "ServerMetadata", "ServerReady",
    )
)  # fmt: skip
"""Names of gRPC's methods, of which the same is true."""


def is_safe_rpc(method: str) -> bool:
    """Of gRPC: ``/package.Service/Method``."""
    return method.rpartition("/")[2] in SAFE_RPCS


def asks_model(request: HttpRequest) -> bool:
    """Whether it is for a model's answer, over REST."""
    return request.path.lower().endswith(SAFE_ENDS)


def may_repeat(request: HttpRequest) -> bool:
    """Whether a request may run twice."""
    if request.method in SAFE_METHODS or asks_model(request):
        return True
    return is_call(request) and is_safe_rpc(request.path)
