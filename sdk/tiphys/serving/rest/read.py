"""Requests in TensorFlow Serving's JSON as tensors, and what it says about those that are wrong.

What is right takes the fast way: nested lists are flattened level by level in C. Everything else is gone
through once more, element by element, in the order in which TensorFlow Serving would meet it, so that the
error is its error (json_tensor.cc).
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from array import array
from collections.abc import Mapping
from itertools import chain
from typing import Any

from tiphys.serving.model.servable import Code, ModelError, Tensor, TensorInfo, Values, type_name
from tiphys.serving.rest import rapid
from tiphys.serving.rest.write import pretty

__all__ = [
    "ROW",
    "check_float",
    "decode_string",
    "invalid",
    "is_b64",
    "kind",
    "parse",
    "predict_inputs",
    "signature_name",
]

ROW = "row"
COLUMN = "column"

# beyond this, a text that Python refuses is not read a second time to find RapidJSON's words for it
_CAREFUL_BYTES = 512 * 1024
_MAX_RANK = 254  # TensorShape's own limit
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_FLOAT_MAX = 3.4028234663852886e38
_TYPECODES = {
    "DT_INT8": "i", "DT_INT16": "i", "DT_INT32": "i", "DT_INT64": "q", "DT_UINT32": "I", "DT_UINT64": "Q",
}  # fmt: skip
_INT_BOUNDS = {"i": (-(2**31), 2**31), "q": (-(2**63), 2**63), "I": (0, 2**32), "Q": (0, 2**64)}


def invalid(message: str) -> ModelError:
    return ModelError(Code.INVALID_ARGUMENT, message)


def parse(body: bytes) -> dict[str, Any]:
    """The request's document. Raises ModelError INVALID_ARGUMENT."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    careful = len(body) <= _CAREFUL_BYTES
    try:
        if careful and _SURROGATE.search(body):
            document = rapid.parse(body)
        else:
            text = body.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
            document = json.loads(text, object_pairs_hook=_first_wins)
    except rapid.ParseError as error:
        raise _parse_error(error.message, error.offset) from None
    except (ValueError, RecursionError) as error:
        document = _again(body, error, careful)
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {pretty(document)} Is not object")
    return document


def _again(body: bytes, error: Exception, careful: bool) -> Any:
    if not careful:
        raise _parse_error(rapid.INVALID_VALUE, getattr(error, "pos", 0))
    try:
        return rapid.parse(body)
    except rapid.ParseError as found:
        raise _parse_error(found.message, found.offset) from None


def _parse_error(message: str, offset: int) -> ModelError:
    return invalid(f"JSON Parse error: {message} at offset: {offset}")


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        result = {}
        for name, value in pairs:
            result.setdefault(name, value)
    return result


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a request asks for; empty: the default."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {pretty(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


def predict_inputs(
    document: Mapping[str, Any], infos: Mapping[str, TensorInfo], signature: str = ""
) -> tuple[str, dict[str, Tensor]]:
    """The format of a predict request and its tensors."""
    if not infos:
        raise invalid(f"Failed to get input map for signature: {signature or 'DEFAULT'}")
    if "instances" in document:
        if "inputs" in document:
            raise invalid(
                f"JSON Value: {pretty(document)} Not formatted correctly expecting only "
                "one of 'inputs' or 'instances' keys to exist "
            )
        instances = document["instances"]
        if not isinstance(instances, list):
            raise invalid(f"JSON Value: {pretty(document)} Excepting 'instances' to be an list/array")
        if not instances:
            raise invalid(f"JSON Value: {pretty(document)} No values in 'instances' array")
        return ROW, _row(instances, infos)
    if "inputs" in document:
        return COLUMN, _column(document["inputs"], infos)
    raise invalid("Missing 'inputs' or 'instances' key")


# ---- the two formats
def is_b64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _row(instances: list[Any], infos: Mapping[str, TensorInfo]) -> dict[str, Tensor]:
    first = instances[0]
    if not isinstance(first, dict) and len(infos) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    if isinstance(first, dict) and not is_b64(first):
        fast = _fast_objects(instances, infos)
        return fast if fast is not None else _slow_objects(instances, infos)
    name = min(infos)
    info = infos[name]
    tensor = _fast(instances, info.dtype)
    return {name: tensor if tensor is not None else _slow_values(instances, info.dtype)}


def _fast_objects(instances: list[Any], infos: Mapping[str, TensorInfo]) -> dict[str, Tensor] | None:
    names = infos.keys()
    for item in instances:
        if type(item) is not dict or item.keys() != names:
            return None
    result = {}
    for name, info in infos.items():
        tensor = _fast([item[name] for item in instances], info.dtype)
        if tensor is None:
            return None
        result[name] = tensor
    return result


def _slow_objects(instances: list[Any], infos: Mapping[str, TensorInfo]) -> dict[str, Tensor]:
    columns: dict[str, _Column] = {}
    for index, item in enumerate(instances):
        if not isinstance(item, dict) or is_b64(item):
            raise invalid(f"Expecting object but got list at item {index} of input list")
        for name, value in item.items():
            try:
                if name not in infos:
                    raise invalid(f"JSON object: does not have named input: {name}")
                columns.setdefault(name, _Column(infos[name].dtype)).add(value)
            except ModelError as error:
                raise invalid(
                    f"Failed to process element: {index} key: {name} of 'instances' list. Error: {error}"
                ) from None
        if item.keys() != infos.keys():
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: {pretty(item)} "
                f"keys must be equal to: {','.join(sorted(infos))}"
            )
    return {name: column.tensor(len(instances)) for name, column in columns.items()}


def _slow_values(instances: list[Any], dtype: str) -> Tensor:
    column = _Column(dtype)
    for index, item in enumerate(instances):
        if isinstance(item, dict) and not is_b64(item):
            raise invalid(f"Expecting value/list but got object at item {index} of input list")
        try:
            column.add(item)
        except ModelError as error:
            raise invalid(f"Failed to process element: {index} of 'instances' list. Error: {error}") from None
    return column.tensor(len(instances))


class _Column:
    """One named input of the row format, an instance at a time."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.shape: list[int] | None = None
        self.size = 0
        self.values: list[Any] = []

    def add(self, value: Any) -> None:
        shape = _shape(value)
        before = len(self.values)
        _fill(value, 0, shape, self.dtype, self.values)
        size = len(self.values) - before
        if self.shape is None:
            self.shape, self.size = shape, size
        elif size != self.size:
            raise invalid(f"Expecting tensor size: {self.size} but got: {size}")
        elif shape != self.shape:
            raise invalid(f"Expecting shape {_show(self.shape)} but got: {_show(shape)}")

    def tensor(self, count: int) -> Tensor:
        return Tensor(self.dtype, (count, *(self.shape or ())), self.values)


def _column(value: Any, infos: Mapping[str, TensorInfo]) -> dict[str, Tensor]:
    if not isinstance(value, dict) or is_b64(value):
        if len(infos) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        name = min(infos)
        return {name: _tensor(value, infos[name].dtype)}
    result = {}
    for name in sorted(infos):
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        result[name] = _tensor(value[name], infos[name].dtype)
    return result


def _tensor(value: Any, dtype: str) -> Tensor:
    tensor = _fast(value, dtype)
    if tensor is None:
        shape = _shape(value)
        values: list[Any] = []
        _fill(value, 0, shape, dtype, values)
        tensor = Tensor(dtype, tuple(shape), values)
    return tensor


# ---- the fast way
def _fast(value: Any, dtype: str) -> Tensor | None:
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
                return [value.encode("utf-8", "surrogateescape") for value in flat]
            return [decode_string(value) for value in flat] if types <= {str, dict} else None
    except (OverflowError, UnicodeEncodeError, ModelError):
        return None
    return None


def _fast_floats(flat: list[Any], types: set[type], single: bool) -> Values | None:
    if not types <= {int, float}:
        return None
    if int in types:
        whole = flat if float not in types else [value for value in flat if type(value) is int]
        bound = 2**24 if single else 2**53
        if max(whole) >= bound or min(whole) <= -bound:
            return None
    if not single:
        result = array("d", flat)
        return None if _infinite(result, flat) else result
    result = array("f", flat)
    return None if _infinite(result, flat) else result


def _infinite(result: array[float], flat: list[Any]) -> bool:
    """Whether a finite number became infinite. An infinity in the text is allowed, ``1e999`` is not."""
    if math.inf not in result and -math.inf not in result:
        return False
    return any(math.isinf(a) and not math.isinf(b) for a, b in zip(result, flat, strict=True))


# ---- the careful way, in the order of json_tensor.cc
def _shape(value: Any) -> list[int]:
    """The shape that the first elements suggest."""
    shape: list[int] = []
    while isinstance(value, list):
        if len(shape) == _MAX_RANK:
            raise invalid(f"Tensors have at most {_MAX_RANK} dimensions")
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return shape


def _show(shape: list[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _fill(value: Any, level: int, shape: list[int], dtype: str, values: list[Any]) -> None:
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
        _fill(item, level + 1, shape, dtype, values)


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
        return value.encode("utf-8", "surrogateescape")
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
    single = dtype == "DT_FLOAT"
    if of is int:
        lossless = abs(value) < (2**24 if single else 2**53)
    else:
        lossless = not math.isfinite(value) or not single or abs(value) <= _FLOAT_MAX
    if not lossless:
        raise invalid(
            f"Cannot convert JSON value: {pretty(value)} to {type_name(dtype)} without loss of precision."
        )
    return float(value)


def check_float(value: float) -> float:
    """A feature's number, which must fit a float32."""
    return _real(value, float, "DT_FLOAT")
