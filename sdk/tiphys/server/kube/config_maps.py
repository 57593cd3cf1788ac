"""ConfigMaps as `kubectl create configmap` sends them: in Kubernetes' protobuf.

Source: k8s.io/apimachinery, pkg/runtime (the envelope ``Unknown``) and pkg/apis/meta/v1/generated.proto; k8s.io/api,
core/v1/generated.proto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tiphys.net.protobuf import WireError, message_map, messages, text
from tiphys.server.answers import RequestError

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject

__all__ = ["MAGIC", "config_map_of"]

MAGIC = b"k8s\0"
"""With which such a body begins."""
_TEXTS = {1: "name", 2: "generateName", 3: "namespace", 5: "uid", 6: "resourceVersion"}  # of ObjectMeta
_MAPS = {11: "labels", 12: "annotations"}


def config_map_of(body: bytes) -> GivenObject:
    """The ConfigMap in a body. Raises RequestError 415 for another kind, 400 for bytes that are none, 422 for
    ``binaryData``."""
    try:
        return _read(memoryview(body)[len(MAGIC) :])
    except WireError as error:
        raise RequestError(400, f"the body is no protobuf: {error}") from None


def _read(envelope: memoryview) -> GivenObject:
    kind = next((text(each, 2) for each in messages(envelope, 1)), "")
    if kind != "ConfigMap":
        raise RequestError(
            415, f"a {kind[:100] or 'body'} in protobuf cannot be read here: send application/json"
        )
    metadata: dict[str, object] = {}
    data: dict[str, str] = {}
    for given in messages(envelope, 2):
        if message_map(given, 3):
            raise RequestError(422, "binaryData: a ConfigMap has texts here")
        data |= _texts(given, 2)
        for meta in messages(given, 1):
            metadata |= {name: value for number, name in _TEXTS.items() if (value := text(meta, number))}
            metadata |= {name: found for number, name in _MAPS.items() if (found := _texts(meta, number))}
    return cast("GivenObject", {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data})


def _texts(message: memoryview, field: int) -> dict[str, str]:
    """A map field from strings to strings."""
    return {
        key: bytes(value).decode("utf-8", "replace") for key, value in message_map(message, field).items()
    }
