"""A tensor's elements as they lie in memory, one after the other, little end first: what TensorFlow's tensors, the
``tensor_content`` of its protocol and the raw contents of the Open Inference Protocol hold.
"""

from __future__ import annotations

import struct
from array import array
from typing import Any

from tiphys.serving.model.servable import Tensor, Values

__all__ = ["TYPECODES", "packed", "settled", "unpacked"]

TYPECODES = {
    "DT_FLOAT": "f", "DT_DOUBLE": "d", "DT_INT8": "b", "DT_INT16": "h", "DT_INT32": "i", "DT_INT64": "q",
    "DT_UINT8": "B", "DT_UINT16": "H", "DT_UINT32": "I", "DT_UINT64": "Q", "DT_BOOL": "B", "DT_HALF": "H",
    "DT_COMPLEX64": "f", "DT_COMPLEX128": "d",
}  # fmt: skip
"""The typecode of an ``array`` of what a tensor holds, of a complex number of one of its two parts; of strings none."""


def packed(tensor: Tensor) -> bytes:
    """The elements of a tensor of numbers. Raises KeyError for a type without a typecode."""
    values = tensor.values
    if isinstance(values, bytes):
        return values
    if tensor.dtype == "DT_HALF":
        return struct.pack(f"{len(values)}e", *values)
    code = TYPECODES[tensor.dtype]
    if isinstance(values, array) and values.typecode == code:
        return values.tobytes()
    if code in "bh":  # these come as int32, and are cut as TensorFlow Serving cuts them
        half = 128 if code == "b" else 32768
        values = [(value + half) % (2 * half) - half for value in values]
    return array(code, values).tobytes()


def unpacked(dtype: str, content: bytes | memoryview) -> Values:
    """The values of a tensor with these elements: a whole number of them."""
    elements = array(TYPECODES[dtype])
    elements.frombytes(content)
    return settled(dtype, elements)


def settled(dtype: str, elements: array[Any]) -> Values:
    """Elements as a tensor's ``values`` have them."""
    if dtype == "DT_HALF":
        return array("f", struct.unpack(f"={len(elements)}e", elements.tobytes()))
    if dtype == "DT_BOOL":
        return elements.tobytes().translate(_BOOLS)
    return elements.tobytes() if dtype == "DT_UINT8" else elements


_BOOLS = bytes((0, *(1,) * 255))  # another byte than these is no bool to TensorFlow's code
