"""ConfigMaps as `kubectl create configmap` sends them: in Kubernetes' protobuf.

Source: k8s.io/apimachinery, pkg/runtime (the envelope ``Unknown``) and pkg/apis/meta/v1/generated.proto; k8s.io/api,
core/v1/generated.proto. The wire format: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from tiphys.server.answers import RequestError

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject

__all__ = ["MAGIC", "config_map_of"]

MAGIC = b"k8s\0"
"""With which such a body begins."""
_TEXTS = {1: "name", 2: "generateName", 3: "namespace", 5: "uid", 6: "resourceVersion"}  # of ObjectMeta
_MAPS = {11: "labels", 12: "annotations"}


def config_map_of(body: bytes) -> GivenObject:
    """The ConfigMap in a body. Raises RequestError 415 for another kind, 400 for bytes that are none."""
    try:
        envelope = dict(_fields(body.removeprefix(MAGIC)))
        kind = dict(_fields(envelope.get(1, b""))).get(2, b"").decode()
        if kind != "ConfigMap":
            raise RequestError(
                415, f"a {kind or 'body'} in protobuf cannot be read here: send application/json"
            )
        metadata: dict[str, object] = {}
        data: dict[str, str] = {}
        for number, value in _fields(envelope.get(2, b"")):
            if number == 1:
                metadata = _metadata(value)
            elif number == 2:
                data |= _pair(value)
            elif number == 3:
                raise RequestError(422, "binaryData: a ConfigMap has texts here")
    except (IndexError, UnicodeDecodeError) as error:
        raise RequestError(400, f"the body is no protobuf: {error}") from None
    return cast("GivenObject", {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data})


def _metadata(data: bytes) -> dict[str, object]:
    found: dict[str, object] = {}
    for number, value in _fields(data):
        if number in _TEXTS and value:
            found[_TEXTS[number]] = value.decode()
        elif number in _MAPS:
            found[_MAPS[number]] = {**cast("dict[str, str]", found.get(_MAPS[number], {})), **_pair(value)}
    return found


def _pair(data: bytes) -> dict[str, str]:
    """An entry of a map of texts."""
    entry = dict(_fields(data))
    return {entry.get(1, b"").decode(): entry.get(2, b"").decode()}


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message that are bytes, with their numbers; numbers are passed over. Raises IndexError."""
    at = 0
    while at < len(data):
        tag, at = _number(data, at)
        wire = tag & 7
        if wire == 0:
            _, at = _number(data, at)
            continue
        length, at = (
            _number(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at) if wire in (1, 5) else (-1, at)
        )
        if length < 0 or at + length > len(data):
            raise IndexError(f"a field ends beyond its message, at byte {at}")
        if wire == 2:
            yield tag >> 3, data[at : at + length]
        at += length


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A varint, and what follows it."""
    found = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, at
    raise IndexError("a number of more than ten bytes")
