"""The messages of the Open Inference Protocol, read from and written to bytes.

Field numbers are those of open_inference_grpc.proto of kserve/open-inference-protocol. Contents come typed, in the
field of their type within each input, or raw: all inputs' elements as they lie in memory, of a text its length in four
bytes and its bytes.
"""

from __future__ import annotations

import struct
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple

from tiphys.net.protobuf import (
    FEW,
    MOST,
    WireError,
    bytes_field,
    few_fields,
    fields,
    messages,
    packed_varints,
    signed,
    varint,
)
from tiphys.serving.model.inference import (
    PLATFORM,
    SIGNATURE,
    InferenceInput,
    InferenceRequest,
    ModelAbout,
)
from tiphys.serving.model.packed import TYPECODES, packed, settled, unpacked
from tiphys.serving.model.servable import MAX_RANK, ModelError, Signature, Tensor, Values, invalid

__all__ = [
    "InferMessage",
    "about_response",
    "asked_model",
    "infer_response",
    "server_response",
    "typed_tensors",
]

# datatype -> the field of InferTensorContents that holds it; of FP16 there is none
_CONTENTS = {
    "BOOL": 1, "INT8": 2, "INT16": 2, "INT32": 2, "INT64": 3, "UINT8": 4, "UINT16": 4, "UINT32": 4, "UINT64": 5,
    "FP32": 6, "FP64": 7, "BYTES": 8,
}  # fmt: skip
_TYPED = frozenset(_CONTENTS.values())
_FLOATS = ("FP32", "FP64")
_GOES_ON = bytes(range(128, 256))  # of a varint that has another byte
_LENGTH = struct.Struct("<I")


def asked_model(data: bytes) -> tuple[str, str]:
    """Name and version that a request for a model is about: the first two fields of each of them. Raises ModelError
    INVALID_ARGUMENT."""
    try:
        found = _Parts(few_fields(memoryview(data), MOST))
    except WireError as error:
        raise _unreadable(error) from None
    name = found.text(1)
    if not name:
        raise invalid("the request names no model")
    return name, found.text(2)


class InferMessage(NamedTuple):
    """A ModelInferRequest without its model; ``raw``: its contents are, so the answer's are to be."""

    request: InferenceRequest
    raw: bool

    @classmethod
    def read(cls, data: bytes) -> InferMessage:
        """Raises ModelError INVALID_ARGUMENT. Values are read later."""
        try:
            return cls._read(_Reader(), memoryview(data))
        except WireError as error:
            raise _unreadable(error) from None

    @classmethod
    def _read(cls, reader: _Reader, message: memoryview) -> InferMessage:
        top = reader.parts(message)
        given, raw = top.messages(5), top.messages(7)
        if raw and len(raw) != len(given):
            raise invalid(f"there are raw contents of {len(raw)} inputs, and {len(given)} inputs")
        contents: Iterable[memoryview | None] = raw or [None] * len(given)
        signature = ""
        for entry in map(reader.parts, top.messages(4)):
            if entry.text(1) == SIGNATURE and entry.messages(2):  # an InferParameter
                signature = reader.parts(entry.messages(2)[-1]).text(3)
        request = InferenceRequest.of(
            top.text(3),
            signature,
            map(_input, map(reader.parts, given), contents),
            (reader.parts(each).text(1) for each in top.messages(6)),
        )
        return cls(request, bool(raw))


def typed_tensors(data: bytes, signature: Signature) -> dict[str, Tensor]:
    """What a model is given of a ModelInferRequest. Raises ModelError INVALID_ARGUMENT."""
    return InferMessage.read(data).request.tensors(signature)


class _Parts:
    """The fields of a message, by their numbers."""

    def __init__(self, found: Iterable[tuple[int, int | memoryview]]) -> None:
        self._found: defaultdict[int, list[int | memoryview]] = defaultdict(list)
        for key, value in found:
            self._found[key].append(value)

    def messages(self, field: int) -> list[memoryview]:
        return [each for each in self._found[field] if isinstance(each, memoryview)]

    def text(self, field: int) -> str:
        found = self.messages(field)
        return bytes(found[-1]).decode("utf-8", "replace") if found else ""

    def varints(self, field: int) -> Iterator[int]:
        return _varints(self._found[field])


class _Reader:
    """Reads messages that are few fields together."""

    def __init__(self) -> None:
        self._left = FEW

    def parts(self, message: memoryview) -> _Parts:
        return _Parts(self._counted(message))

    def _counted(self, message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        for each in few_fields(message, self._left):
            self._left -= 1
            yield each


# ---- inputs
def _input(parts: _Parts, raw: memoryview | None) -> InferenceInput:
    name, datatype = parts.text(1), parts.text(2)
    shape = tuple(map(signed, islice(parts.varints(3), MAX_RANK + 1)))
    contents = parts.messages(5)
    if raw is None:  # of a message that comes several times the parts are merged
        return _GivenTyped(name, datatype, shape, memoryview(b"".join(contents)))
    given = _GivenRaw(name, datatype, shape, raw)
    if any(map(len, contents)):
        raise given.wrong("its contents are there twice, raw and typed")
    return given


@dataclass(frozen=True, slots=True)
class _GivenRaw(InferenceInput):
    """Elements as they lie in memory."""

    content: memoryview

    def values(self, dtype: str) -> Values:
        if dtype == "DT_STRING":
            return self._texts()
        if len(self.content) != self.count * array(TYPECODES[dtype]).itemsize:
            raise self.misfit(len(self.content), f"bytes of {self.datatype}")
        return unpacked(dtype, self.content)

    def _texts(self) -> list[bytes]:
        size = len(self.content)
        if self.count * _LENGTH.size > size:
            raise self.misfit(size, "bytes of BYTES")
        found, at = [], 0
        for _ in range(self.count):
            if at + _LENGTH.size > size:
                raise self.wrong("its texts are cut off")
            start = at + _LENGTH.size
            at = start + _LENGTH.unpack_from(self.content, at)[0]
            if at > size:
                raise self.wrong("its texts are cut off")
            found.append(bytes(self.content[start:at]))
        if at != size:
            raise self.misfit(size, "bytes of BYTES")
        return found


@dataclass(frozen=True, slots=True)
class _GivenTyped(InferenceInput):
    """``contents``: an InferTensorContents."""

    contents: memoryview

    def values(self, dtype: str) -> Values:
        try:
            return self._values(dtype)
        except WireError as error:
            raise self.wrong(str(error)) from None

    def _values(self, dtype: str) -> Values:
        field = _CONTENTS.get(self.datatype)
        if field is None:
            raise self.wrong(f"{self.datatype} comes in raw contents alone")
        # numbers are packed into few fields; each text is one
        parts = fields(self.contents) if self.datatype == "BYTES" else few_fields(self.contents)
        if any(key in _TYPED and key != field for key, _ in parts):
            raise self.wrong(f"its contents are not in the field of {self.datatype}")
        if self.datatype == "BYTES":
            return self._fitting([*map(bytes, islice(messages(self.contents, field), self.count + 1))])
        if self.datatype in _FLOATS:
            return self._floats(dtype, field)
        given = sum(map(_count, self._parts(field)))
        if given != self.count:
            raise self.misfit(given)
        elements = array(TYPECODES[dtype])
        numbers = _varints(self._parts(field))
        try:
            elements.extend(map(bool, numbers) if self.datatype == "BOOL" else self._numbers(numbers))
        except OverflowError:
            raise self.wrong(f"a value is no {self.datatype}") from None
        return settled(dtype, elements)

    def _parts(self, field: int) -> Iterator[int | memoryview]:
        return (value for key, value in fields(self.contents) if key == field)

    def _numbers(self, varints: Iterator[int]) -> Iterator[int]:
        return map(signed, varints) if self.datatype.startswith("INT") else varints

    def _floats(self, dtype: str, field: int) -> Values:
        size, elements = array(TYPECODES[dtype]).itemsize, bytearray()
        for part in messages(self.contents, field):
            if len(part) % size:
                raise self.wrong(f"its contents are cut off: {len(part)} bytes of {self.datatype}")
            elements += part
        if len(elements) != self.count * size:
            raise self.misfit(len(elements) // size)
        return unpacked(dtype, bytes(elements))

    def _fitting(self, values: list[bytes]) -> list[bytes]:
        if len(values) != self.count:
            raise self.misfit(len(values))
        return values


def _varints(parts: Iterable[int | memoryview]) -> Iterator[int]:
    """What a repeated field of integers holds, packed or not."""
    for part in parts:
        if isinstance(part, int):
            yield part
        else:
            yield from packed_varints(part)


def _count(part: int | memoryview) -> int:
    """How many integers there are."""
    return 1 if isinstance(part, int) else len(part.tobytes().translate(None, _GOES_ON))


def _unreadable(error: WireError) -> ModelError:
    return invalid(f"the message cannot be read: {error}")


# ---- answers
def server_response(name: str, version: str) -> bytes:
    """A ServerMetadataResponse; there are no extensions."""
    return bytes_field(1, name.encode()) + bytes_field(2, version.encode())


def about_response(about: ModelAbout) -> bytes:
    """A ModelMetadataResponse."""
    return b"".join(
        (
            bytes_field(1, about.name.encode()),
            *(bytes_field(2, each.encode()) for each in about.versions),
            bytes_field(3, PLATFORM.encode()),
            *(bytes_field(4, _tensor(*each)) for each in about.inputs),
            *(bytes_field(5, _tensor(*each)) for each in about.outputs),
        )
    )


def _tensor(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    sizes = b"".join(map(varint, shape))
    head = bytes_field(1, name.encode()) + bytes_field(2, datatype.encode())
    return head + bytes_field(3, sizes) if sizes else head


def infer_response(
    name: str, version: int, identity: str, answered: Sequence[tuple[str, str, Tensor]], *, raw: bool
) -> bytes:
    """A ModelInferResponse with these outputs, their names and datatypes; its contents are raw, too, where one of them
    has no typed ones."""
    raw = raw or any(datatype not in _CONTENTS for _, datatype, _ in answered)
    parts = [bytes_field(1, name.encode()), bytes_field(2, str(version).encode())]
    if identity:
        parts.append(bytes_field(3, identity.encode()))
    contents = []
    for output, datatype, value in answered:
        tensor = _tensor(output, datatype, value.shape)
        if raw:
            contents.append(bytes_field(6, _raw(value)))
        else:
            tensor += bytes_field(5, _typed(datatype, value))
        parts.append(bytes_field(5, tensor))
    return b"".join((*parts, *contents))


def _raw(value: Tensor) -> bytes:
    if value.dtype == "DT_STRING":
        return b"".join(_LENGTH.pack(len(each)) + each for each in value.values)
    return packed(value)


def _typed(datatype: str, value: Tensor) -> bytes:
    field = _CONTENTS[datatype]
    if datatype == "BYTES":
        return b"".join(map(partial(bytes_field, field), value.values))
    if not len(value.values):
        return b""
    if datatype in _FLOATS:
        return bytes_field(field, packed(value))
    return bytes_field(field, b"".join(map(varint, value.values)))
