"""JSON values as tensors.

What is right takes the fast way: nested lists are flattened level by level in C. Everything else is gone
through once more, element by element, in the order in which TensorFlow Serving would meet it, so that the
error is its error (json_tensor.cc).
"""

from __future__ import annotations

import base64
import binascii
import re
from array import array
from itertools import chain
from typing import Any

from tiphys.serving.model.servable import MAX_RANK, Code, ModelError, Tensor, Values, invalid, type_name
from tiphys.serving.rest.write import pretty, utf8

__all__ = [
    "careful_tensor",
    "decode_string",
    "fast_tensor",
    "fill",
    "is_b64",
    "kind",
    "shape_of",
    "show_shape",
    "single",
    "tensor",
]

_TYPECODES = {
    "DT_INT8": "i", "DT_INT16": "i", "DT_INT32": "i", "DT_INT64": "q", "DT_UINT32": "I", "DT_UINT64": "Q",
}  # fmt: skip
_INT_BOUNDS = {"i": (-(2**31), 2**31), "q": (-(2**63), 2**63), "I": (0, 2**32), "Q": (0, 2**64)}


def is_b64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def tensor(value: Any, dtype: str) -> Tensor:
    """The tensor that a value stands for. Raises ModelError INVALID_ARGUMENT or UNIMPLEMENTED."""
    fast = fast_tensor(value, dtype)
    return fast if fast is not None else careful_tensor(value, dtype)


# ---- the fast way
def fast_tensor(value: Any, dtype: str) -> Tensor | None:
    """The tensor, or None when something is not as it should be."""
    shape: list[int] = []
    flat: list[Any] = [value]
    while True:
        types = set(map(type, flat))
        if list not in types:
            break
        if len(types) > 1:
            return None
        sizes = set(map(len, flat))
        if len(sizes) > 1:
            return None
        if len(shape) == MAX_RANK:
            return None
        shape.append(sizes.pop())
        flat = list(chain.from_iterable(flat))
        if not flat:
            break
    values = _fast_values(flat, types if flat else set(), dtype)
    return None if values is None else Tensor(dtype, tuple(shape), values)


def _fast_values(flat: list[Any], types: set[type], dtype: str) -> Values | None:
    try:
        if dtype == "DT_UINT8":
            if not types <= {int}:
                return None
            try:
                return bytes(flat)
            except ValueError:  # beyond a byte: TensorFlow Serving takes an int32 and cuts it
                return bytes(value & 255 for value in array("i", flat))
        code = _TYPECODES.get(dtype)
        if code is not None:
            return array(code, flat) if types <= {int} else None
        if dtype in ("DT_FLOAT", "DT_DOUBLE"):
            return _fast_floats(flat, types, dtype == "DT_FLOAT")
        if dtype == "DT_BOOL":
            return bytes(flat) if types <= {bool} else None
        if dtype == "DT_STRING":
            if types <= {str}:
                return [utf8(value) for value in flat]
            return [decode_string(value) for value in flat] if types <= {str, dict} else None
    except (OverflowError, ModelError):
        return None
    return None


def _fast_floats(flat: list[Any], types: set[type], single: bool) -> Values | None:
    return array("f" if single else "d", flat) if types <= {int, float} else None


# ---- the careful way, in the order of json_tensor.cc
def careful_tensor(value: Any, dtype: str) -> Tensor:
    """The same, element by element: slower, and with TensorFlow Serving's errors."""
    shape = shape_of(value)
    values: list[Any] = []
    fill(value, 0, shape, dtype, values)
    return Tensor(dtype, tuple(shape), values)


def shape_of(value: Any) -> list[int]:
    """The shape that the first elements suggest."""
    shape: list[int] = []
    while isinstance(value, list):
        if len(shape) == MAX_RANK:
            raise invalid(f"Tensors have at most {MAX_RANK} dimensions")
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return shape


def show_shape(shape: list[int]) -> str:
    """``[2,3]``."""
    return f"[{','.join(map(str, shape))}]"


def fill(value: Any, level: int, shape: list[int], dtype: str, values: list[Any]) -> None:
    """Append a value's elements to ``values``. Raises ModelError where the shape or the type does not fit."""
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise invalid(
                f"JSON Value: {pretty(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {rank}"
            )
        values.append(_element(value, dtype))
        return
    if level >= rank:
        raise invalid(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for item in value:
        fill(item, level + 1, shape, dtype, values)


def kind(value: Any) -> str:
    """RapidJSON's name of a value's type."""
    if value is None:
        return "Null"
    if value is True:
        return "True"
    if value is False:
        return "False"
    if isinstance(value, dict):
        return "Object"
    if isinstance(value, list):
        return "Array"
    return "String" if isinstance(value, str) else "Number"


def _type_error(value: Any, dtype: str) -> ModelError:
    return invalid(
        f"JSON Value: {pretty(value)} Type: {kind(value)} is not of expected type: {type_name(dtype)}"
    )


def decode_string(value: Any) -> bytes:
    if isinstance(value, str):
        return utf8(value)
    if not is_b64(value):
        raise invalid(f"JSON Value: {pretty(value)} not formatted correctly for base64 data")
    text = re.sub(r"[ \t\r\n]", "", value["b64"])
    try:
        # padding may be left out; absl's decoder takes it so
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def _element(value: Any, dtype: str) -> Any:
    """One element of a tensor."""
    of = type(value)
    if of is int and not -(2**63) <= value < 2**64:
        value, of = float(value), float
    if of is dict:
        if dtype != "DT_STRING":
            raise _type_error(value, dtype)
        return decode_string(value)
    if dtype == "DT_STRING":
        if of is not str:
            raise _type_error(value, dtype)
        return decode_string(value)
    if dtype in ("DT_FLOAT", "DT_DOUBLE"):
        return _real(value, of, dtype)
    if dtype == "DT_BOOL":
        if of is not bool:
            raise _type_error(value, dtype)
        return value
    code = "i" if dtype == "DT_UINT8" else _TYPECODES.get(dtype)
    if code is None:
        raise ModelError(
            Code.UNIMPLEMENTED, f"Conversion of JSON Value: {pretty(value)} to type: {type_name(dtype)}"
        )
    low, high = _INT_BOUNDS[code]
    if of is not int or not low <= value < high:
        raise _type_error(value, dtype)
    return value & 255 if dtype == "DT_UINT8" else value


def _real(value: Any, of: type, dtype: str) -> float:
    if of not in (int, float):
        raise _type_error(value, dtype)
    return single(value) if dtype == "DT_FLOAT" else float(value)


def single(value: float) -> float:
    """The nearest number that a float32 holds: beyond the largest, infinity."""
    return array("f", (value,))[0]
