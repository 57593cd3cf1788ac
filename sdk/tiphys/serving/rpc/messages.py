"""The messages of tensorflow_serving/apis/*.proto, read from and written to bytes.

Field numbers are those of predict.proto, model.proto, classification.proto, regression.proto, input.proto,
inference.proto, get_model_status.proto, get_model_metadata.proto and of TensorFlow's tensor.proto and meta_graph.proto.
"""

from __future__ import annotations

import contextlib
import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from tiphys.net.protobuf import (
    MOST,
    WireError,
    bytes_field,
    few_fields,
    fields,
    float_field,
    int_field,
    map_field,
    message_map,
    messages,
    number,
    packed_varints,
    signed,
    text,
    varint,
)
from tiphys.serving.model.manager import ModelConfig, Version
from tiphys.serving.model.meta_graph import DTYPES
from tiphys.serving.model.packed import TYPECODES, settled, unpacked
from tiphys.serving.model.servable import (
    CLASSIFY,
    COMPLEX,
    MAX_RANK,
    Code,
    ModelError,
    Signature,
    Tensor,
    TensorInfo,
    fits,
    type_name,
)

__all__ = [
    "OK_STATUS",
    "InferenceTask",
    "ModelSpec",
    "PredictRequest",
    "examples_of",
    "inference_response",
    "inference_tasks",
    "is_light",
    "look_at",
    "metadata_response",
    "predict_response",
    "read_tensor",
    "reload_request",
    "results_response",
    "status_response",
    "write_tensor",
]

_NUMBERS = {name: value for value, name in DTYPES.items()}
# dtype -> (the TensorProto field that holds it, how that field packs it)
_KINDS = {
    "DT_FLOAT": (5, "f"), "DT_DOUBLE": (6, "d"),
    "DT_INT8": (7, "v"), "DT_INT16": (7, "v"), "DT_INT32": (7, "v"), "DT_UINT8": (7, "v"), "DT_UINT16": (7, "v"),
    "DT_INT64": (10, "v"), "DT_BOOL": (11, "v"), "DT_UINT32": (16, "v"), "DT_UINT64": (17, "v"),
    "DT_HALF": (13, "v"),
    "DT_COMPLEX64": (9, "f"), "DT_COMPLEX128": (12, "d"),
}  # fmt: skip
_STATES = {"START": 10, "LOADING": 20, "AVAILABLE": 30, "UNLOADING": 40, "END": 50}


# ---- what is dear to read
def look_at(data: bytes) -> None:
    """Raises ModelError INVALID_ARGUMENT of a request that is more fields than any has. Whether they are right is seen
    where they are read."""
    with contextlib.suppress(WireError):
        if next(islice(fields(memoryview(data)), MOST, None), None) is not None:
            raise ModelError(Code.INVALID_ARGUMENT, f"the request has more than {MOST} fields")


def is_light(data: bytes) -> bool:
    """Whether a request is read at once, whatever its size: its tensors, or its examples, are few fields."""
    left = 2 * MOST
    pending = [(memoryview(data), 2)]
    while pending:
        message, depth = pending.pop()
        with contextlib.suppress(WireError):  # a text is no message
            for _, value in fields(message):
                left -= 1
                if left < 0:
                    return False
                if depth and isinstance(value, memoryview):
                    pending.append((value, depth - 1))
    return True


# ---- model spec
@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which model, version (or label) and signature. ``present`` False: the message was left out."""

    name: str = ""
    version: int | None = None
    label: str | None = None
    signature: str = ""
    present: bool = True

    @classmethod
    def read(cls, message: memoryview, field: int = 1) -> ModelSpec:
        parts = [
            value
            for key, value in few_fields(message, MOST)
            if key == field and isinstance(value, memoryview)
        ]
        if not parts:
            return cls(present=False)
        # of a message that comes several times the parts are merged, which is what they are when they are put together
        found = parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
        version, label = None, None
        names = {1: "", 3: ""}
        for key, value in few_fields(found, MOST):
            if not isinstance(value, memoryview):
                continue
            if key == 2:
                version, label = number(value, 1), None
            elif key == 4:
                version, label = None, bytes(value).decode("utf-8", "replace")
            elif key in names:
                names[key] = bytes(value).decode("utf-8", "replace")
        return cls(names[1], version, label, names[3])


def _write_spec(name: str, version: int, signature: str) -> bytes:
    wrapped = bytes_field(2, int_field(1, version))
    return (
        bytes_field(1, name.encode()) + wrapped + (bytes_field(3, signature.encode()) if signature else b"")
    )


# ---- tensors
def read_tensor(message: memoryview) -> Tensor:
    """A TensorProto. Raises ModelError INVALID_ARGUMENT when it holds too little or too much."""
    dtype = DTYPES.get(number(message, 1), "DT_INVALID")
    shape = _shape(next(messages(message, 2), memoryview(b"")))
    count = 1
    for size in shape:
        count *= size
    content = b"".join(messages(message, 4))
    if dtype == "DT_STRING":
        strings: list[bytes] = [bytes(value) for value in messages(message, 8)]
        if content:
            strings = _string_list(content, count)
        return Tensor(dtype, shape, _fill(strings, count, b""))
    kind = _KINDS.get(dtype)
    if kind is None:
        raise ModelError(Code.UNIMPLEMENTED, f"Tensors of type {type_name(dtype)} are not supported")
    field, packing = kind
    code = TYPECODES[dtype]
    width = 2 if dtype in COMPLEX else 1
    if content:
        if len(content) != count * width * array(code).itemsize:
            raise _malformed(f"{len(content)} bytes for {count} values of {type_name(dtype)}")
        return Tensor(dtype, shape, unpacked(dtype, content))
    values = _fill(_values(message, field, code, packing), count, 0, width)
    return Tensor(dtype, shape, settled(dtype, values))


def _malformed(why: str) -> ModelError:
    return ModelError(Code.INVALID_ARGUMENT, f"tensor parsing error: {why}")


def _shape(message: memoryview) -> tuple[int, ...]:
    sizes = tuple(number(dim, 1) for dim in messages(message, 2))
    if not fits(sizes):
        raise _malformed(f"a tensor cannot have the shape {list(sizes[:MAX_RANK])}")
    return sizes


def _values(message: memoryview, field: int, code: str, packing: str) -> array[Any]:
    """The elements in a typed field, packed or not."""
    if packing != "v":
        numbers: list[Any] = []
        for key, value in fields(message):
            if key != field:
                continue
            if isinstance(value, int):
                numbers.append(signed(value))
            else:
                numbers.extend(struct.unpack(f"<{len(value) // struct.calcsize(packing)}{packing}", value))
        return array(code, numbers)
    bits = array(code).itemsize * 8  # values are cut to the tensor's type, as in C++
    mask = (1 << bits) - 1
    if code.isupper():
        return array(code, (value & mask for value in _int64s(message, field)))
    half = 1 << (bits - 1)
    return array(code, (((value + half) & mask) - half for value in _int64s(message, field)))


def _fill(values: Any, count: int, zero: Any, width: int = 1) -> Any:
    """The last value, of ``width`` elements, stands for all that are missing, as Tensor::FromProto has it."""
    known = len(values) // width
    if known >= count:
        return values[: count * width]
    if count > 2**28:
        raise _malformed(f"{count} values from {known}")
    values = values[: known * width]
    nothing = [zero] * width
    last = values[-width:] or (nothing if isinstance(values, list) else array(values.typecode, nothing))
    return values + last * (count - known)


def _string_list(content: bytes, count: int) -> list[bytes]:
    """core::EncodeStringList: all lengths, then all strings."""
    view = memoryview(content)
    sizes, at = [], 0
    for _ in range(count):
        start = at
        while at < len(view) and view[at] > 127:
            at += 1
        at += 1
        sizes.append(next(packed_varints(view[start:at]), 0))
    if at + sum(sizes) != len(view):
        raise _malformed("the strings in tensor_content are cut off")
    result = []
    for size in sizes:
        result.append(bytes(view[at : at + size]))
        at += size
    return result


def write_tensor(tensor: Tensor) -> bytes:
    """A TensorProto with its values in the typed field, as TensorFlow Serving answers."""
    dims = b"".join(bytes_field(2, int_field(1, size)) for size in tensor.shape)
    head = int_field(1, _NUMBERS.get(tensor.dtype, 0)) + bytes_field(2, dims)
    values = tensor.values
    if tensor.dtype == "DT_STRING":
        return head + b"".join(bytes_field(8, value) for value in values)
    if tensor.dtype == "DT_HALF":
        raw = struct.unpack(f"<{len(values)}H", struct.pack(f"<{len(values)}e", *values))
        return head + bytes_field(13, b"".join(map(varint, raw)))
    kind = _KINDS.get(tensor.dtype)
    if kind is None:
        raise ModelError(Code.UNIMPLEMENTED, f"Tensors of type {type_name(tensor.dtype)} are not supported")
    field, packing = kind
    if not len(values):
        return head
    if packing == "v":
        return head + bytes_field(field, b"".join(map(varint, values)))
    return head + bytes_field(field, struct.pack(f"<{len(values)}{packing}", *values))


# ---- predict
@dataclass(frozen=True, slots=True)
class PredictRequest:
    spec: ModelSpec
    inputs: Mapping[str, Tensor]
    output_filter: Sequence[str]

    @classmethod
    def read(cls, data: bytes) -> PredictRequest:
        message = memoryview(data)
        return cls(
            ModelSpec.read(message),
            {name: read_tensor(value) for name, value in message_map(message, 2).items()},
            [bytes(value).decode("utf-8", "replace") for value in messages(message, 3)],
        )


def predict_response(spec: tuple[str, int, str], outputs: Mapping[str, Tensor]) -> bytes:
    return map_field(1, sorted(outputs.items()), write_tensor) + bytes_field(2, _write_spec(*spec))


# ---- classify and regress
def examples_of(data: bytes) -> Tensor:
    """The serialized examples of a request, each with the context. Raises ModelError INVALID_ARGUMENT for none."""
    records: list[bytes] = []
    for entry in messages(memoryview(data), 2):
        for examples in messages(entry, 1):
            records = [bytes(value) for value in messages(examples, 1)]
        for examples in messages(entry, 2):
            context = b"".join(messages(examples, 2))
            # serialized messages that are put together are merged when they are read
            records = [context + bytes(value) for value in messages(examples, 1)]
    if not records:
        raise ModelError(Code.INVALID_ARGUMENT, "Input is empty.")
    return Tensor("DT_STRING", (len(records),), records)


def results_response(spec: tuple[str, int, str], rows: Sequence[Any]) -> bytes:
    """Rows of (label, score) pairs for classify, numbers for regress."""
    return bytes_field(1, _results(rows)) + bytes_field(2, _write_spec(*spec))


def _results(rows: Sequence[Any]) -> bytes:
    parts = []
    for row in rows:
        if isinstance(row, float):
            parts.append(bytes_field(1, float_field(1, row)))
        else:
            classes = (
                (bytes_field(1, label) if label else b"") + float_field(2, score) for label, score in row
            )
            parts.append(bytes_field(1, b"".join(bytes_field(1, item) for item in classes)))
    return b"".join(parts)


# ---- several at once
class InferenceTask(NamedTuple):
    """One of a MultiInferenceRequest (inference.proto); ``method`` as signatures have it."""

    spec: ModelSpec
    method: str


def inference_tasks(data: bytes) -> list[InferenceTask]:
    """What a MultiInferenceRequest asks for; its examples are :func:`examples_of`."""
    return [InferenceTask(ModelSpec.read(each), text(each, 2)) for each in messages(memoryview(data), 1)]


def inference_response(results: Sequence[tuple[tuple[str, int, str], str, Sequence[Any]]]) -> bytes:
    """Of each task the model, the method and the rows (:func:`results_response`)."""
    return b"".join(
        bytes_field(
            1,
            bytes_field(1, _write_spec(*spec)) + bytes_field(2 if method == CLASSIFY else 3, _results(rows)),
        )
        for spec, method, rows in results
    )


# ---- configuration
OK_STATUS = bytes_field(1, b"")


def reload_request(data: bytes) -> list[ModelConfig]:
    """The models of a ReloadConfigRequest (model_server_config.proto). Raises ModelError INVALID_ARGUMENT."""
    models = []
    for config in messages(memoryview(data), 1):
        for listed in messages(config, 1):
            models += [_model_config(entry) for entry in messages(listed, 1)]
    if not models:
        raise ModelError(Code.INVALID_ARGUMENT, "The request names no model")
    names = [model.name for model in models]
    if len(set(names)) != len(names):
        raise ModelError(Code.INVALID_ARGUMENT, "Illegal to list model with same name twice")
    return models


def _model_config(entry: memoryview) -> ModelConfig:
    name, base_path = text(entry, 1), text(entry, 2)
    if not name or not base_path:
        raise ModelError(Code.INVALID_ARGUMENT, "A model needs a name and a base_path")
    if any(True for _ in messages(entry, 6)):  # its logging_config
        raise ModelError(Code.INVALID_ARGUMENT, "No request-logger-creator provided.")
    latest, versions = 1, None
    for policy in messages(entry, 7):
        for key, value in fields(policy):
            if key == 100 and isinstance(value, memoryview):
                latest = number(value, 1) or 1
            elif key == 101:
                latest = 0
            elif key == 102 and isinstance(value, memoryview):
                versions = tuple(_int64s(value, 1))
    labels = {text(pair, 1): number(pair, 2) for pair in messages(entry, 8)}
    return ModelConfig(name, Path(base_path), latest, versions, labels)


def _int64s(message: memoryview, field: int) -> Iterator[int]:
    """A repeated field, packed or not."""
    for key, value in fields(message):
        if key == field:
            yield from [signed(value)] if isinstance(value, int) else map(signed, packed_varints(value))


# ---- status and metadata
def status_response(versions: Sequence[Version]) -> bytes:
    parts = []
    for version in versions:
        status = b""
        if version.error is not None:
            status = int_field(1, version.error.code.value) + bytes_field(2, version.error.message.encode())
        row = int_field(1, version.number) + int_field(2, _STATES[version.state]) + bytes_field(3, status)
        parts.append(bytes_field(1, row))
    return b"".join(parts)


def metadata_response(name: str, version: int, signatures: Mapping[str, Signature]) -> bytes:
    definitions = map_field(1, sorted(signatures.items()), _write_signature)
    packed = bytes_field(1, b"type.googleapis.com/tensorflow.serving.SignatureDefMap") + bytes_field(
        2, definitions
    )
    return bytes_field(1, _write_spec(name, version, "")) + map_field(
        2, [("signature_def", packed)], lambda value: value
    )


def _write_signature(signature: Signature) -> bytes:
    return (
        map_field(1, sorted(signature.inputs.items()), _write_info)
        + map_field(2, sorted(signature.outputs.items()), _write_info)
        + (bytes_field(3, signature.method.encode()) if signature.method else b"")
    )


def _write_info(info: TensorInfo) -> bytes:
    if info.shape is None:
        shape = int_field(3, 1)
    else:
        shape = b"".join(bytes_field(2, int_field(1, size)) for size in info.shape)
    return (
        bytes_field(1, info.name.encode()) + int_field(2, _NUMBERS.get(info.dtype, 0)) + bytes_field(3, shape)
    )
