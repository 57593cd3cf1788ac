"""The signatures in a serialized MetaGraphDef, read without a protobuf library.

Field numbers are those of tensorflow/core/protobuf/meta_graph.proto and
tensorflow/core/framework/{tensor_shape,types}.proto.
"""

from __future__ import annotations

from tiphys.net.protobuf import message_map, messages, number, text
from tiphys.serving.model.servable import Signature, TensorInfo

__all__ = ["DTYPES", "signatures"]

_NAMES = (
    "INVALID FLOAT DOUBLE INT32 UINT8 INT16 INT8 STRING COMPLEX64 INT64 BOOL QINT8 QUINT8 QINT32 BFLOAT16 "
    "QINT16 QUINT16 UINT16 COMPLEX128 HALF RESOURCE VARIANT UINT32 UINT64 FLOAT8_E5M2 FLOAT8_E4M3FN"
)
DTYPES = {number: f"DT_{name}" for number, name in enumerate(_NAMES.split())}
DTYPES |= {number + 100: f"{name}_REF" for number, name in DTYPES.items() if number}


def signatures(meta_graph: bytes | memoryview) -> dict[str, Signature]:
    """The signatures by name. Raises WireError when the bytes are no MetaGraphDef."""
    result = {}
    for name, definition in message_map(memoryview(meta_graph), 5).items():
        inputs = {key: _info(value) for key, value in message_map(definition, 1).items()}
        outputs = {key: _info(value) for key, value in message_map(definition, 2).items()}
        result[name] = Signature(inputs, outputs, text(definition, 3))
    return result


def _info(data: memoryview) -> TensorInfo:
    shape = next(messages(data, 3), memoryview(b""))
    sizes = None
    if not number(shape, 3):  # unknown_rank
        sizes = tuple(number(dim, 1) for dim in messages(shape, 2))
    dtype = number(data, 2)
    return TensorInfo(DTYPES.get(dtype, f"DT_{dtype}"), sizes, text(data, 1))
