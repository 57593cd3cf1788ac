"""The signatures in a serialized MetaGraphDef, read without a protobuf library.

Field numbers are those of tensorflow/core/protobuf/meta_graph.proto and
tensorflow/core/framework/{tensor_shape,types}.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

from tiphys.serving.model.servable import Signature, TensorInfo

__all__ = ["DTYPES", "signatures"]

_NAMES = (
    "INVALID FLOAT DOUBLE INT32 UINT8 INT16 INT8 STRING COMPLEX64 INT64 BOOL QINT8 QUINT8 QINT32 BFLOAT16 "
    "QINT16 QUINT16 UINT16 COMPLEX128 HALF RESOURCE VARIANT UINT32 UINT64 FLOAT8_E5M2 FLOAT8_E4M3FN"
)
DTYPES = {number: f"DT_{name}" for number, name in enumerate(_NAMES.split())}


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, at
        shift += 7


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of a message: an integer, or bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        value: int | memoryview
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 2:
            size, at = _varint(data, at)
            value = data[at : at + size]
            at += size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value = data[at : at + size]
            at += size
        else:
            raise ValueError(f"unexpected wire type {kind}")
        yield key >> 3, value


def _messages(data: memoryview, number: int) -> Iterator[memoryview]:
    for field, value in _fields(data):
        if field == number and isinstance(value, memoryview):
            yield value


def _text(data: memoryview, number: int) -> str:
    text = b""
    for value in _messages(data, number):
        text = bytes(value)
    return text.decode("utf-8", "replace")


def _number(data: memoryview, number: int) -> int:
    result = 0
    for field, value in _fields(data):
        if field == number and isinstance(value, int):
            result = value - 2**64 if value >= 2**63 else value
    return result


def _map(data: memoryview, number: int) -> dict[str, memoryview]:
    """A map field of messages."""
    result = {}
    for entry in _messages(data, number):
        result[_text(entry, 1)] = next(_messages(entry, 2), memoryview(b""))
    return result


def signatures(meta_graph: bytes | memoryview) -> dict[str, Signature]:
    """The signatures by name. Raises ValueError or IndexError when the bytes are no MetaGraphDef."""
    result = {}
    for name, definition in _map(memoryview(meta_graph), 5).items():
        inputs = {key: _info(value) for key, value in _map(definition, 1).items()}
        outputs = {key: _info(value) for key, value in _map(definition, 2).items()}
        result[name] = Signature(inputs, outputs, _text(definition, 3))
    return result


def _info(data: memoryview) -> TensorInfo:
    shape = next(_messages(data, 3), memoryview(b""))
    sizes = None
    if not _number(shape, 3):  # unknown_rank
        sizes = tuple(_number(dim, 1) for dim in _messages(shape, 2))
    number = _number(data, 2)
    return TensorInfo(DTYPES.get(number, f"DT_{number}"), sizes, _text(data, 1))
