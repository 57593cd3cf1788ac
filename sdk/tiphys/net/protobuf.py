"""Protobuf's wire format: enough to read and write the few messages that serving needs.

https://protobuf.dev/programming-guides/encoding/. With this neither ``tensorflow`` (whose generated classes
can only be had by importing all of it) nor ``tensorflow-serving-api`` is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, TypeVar

__all__ = [
    "FEW",
    "MOST",
    "WireError",
    "bytes_field",
    "few_fields",
    "fields",
    "float_field",
    "int_field",
    "map_field",
    "message_map",
    "messages",
    "number",
    "packed_varints",
    "quoted",
    "signed",
    "text",
    "varint",
]

T = TypeVar("T")


class WireError(ValueError):
    """The bytes are not a message."""


# ---- reading
def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise WireError("a number is cut off or too long")
        byte = data[at]
        at += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result & 0xFFFFFFFFFFFFFFFF, at
        shift += 7


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of a message: an integer, or bytes. Raises WireError."""
    at, end = 0, len(data)
    while at < end:
        key = data[at]
        at += 1
        if key > 127:  # most are one byte, and this is where a small request's time goes
            key, at = _read_varint(data, at - 1)
        kind = key & 7
        if kind == 2:
            if at < end and data[at] < 128:
                size = data[at]
                at += 1
            else:
                size, at = _read_varint(data, at)
        elif kind == 0:
            value, at = _read_varint(data, at)
            yield key >> 3, value
            continue
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise WireError(f"unexpected wire type {kind}")
        if at + size > end:
            raise WireError("a field is cut off")
        yield key >> 3, data[at : at + size]
        at += size


MOST = 4096
"""Fields of a request itself: a model, and inputs or names. They are looked at where others wait."""
_LARGE = 64 * 1024  # bytes of integers: they are read by a library, where it is there
FEW = 100_000
"""Fields of a message that a stranger sent: each takes two bytes or more of it, and a hundred times as much here."""


def few_fields(data: memoryview, most: int = FEW) -> Iterator[tuple[int, int | memoryview]]:
    """:func:`fields`, if there are no more than ``most``. Raises WireError."""
    for count, found in enumerate(fields(data)):
        if count == most:
            raise WireError("there are too many fields")
        yield found


def messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    """The values of a field of messages, strings or bytes."""
    for field, value in fields(data):
        if field == wanted and isinstance(value, memoryview):
            yield value


def text(data: memoryview, wanted: int) -> str:
    """A string field; empty when it is not there."""
    found: memoryview | bytes = b""
    for value in messages(data, wanted):
        found = value
    return bytes(found).decode("utf-8", "replace")


def number(data: memoryview, wanted: int) -> int:
    """A signed integer or enum field; 0 when it is not there."""
    result = 0
    for field, value in fields(data):
        if field == wanted and isinstance(value, int):
            result = signed(value)
    return result


def signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def message_map(data: memoryview, wanted: int) -> dict[str, memoryview]:
    """A map field from strings to messages."""
    result = {}
    for entry in messages(data, wanted):
        result[text(entry, 1)] = next(messages(entry, 2), memoryview(b""))
    return result


def packed_varints(data: memoryview) -> Iterator[int]:
    """Integers that lie one behind the other, of any number of them. Raises WireError, as they are read."""
    whole = data.tobytes()
    if whole.isascii():  # each is one byte, as small ones are
        yield from whole
        return
    if len(data) >= _LARGE and (numbers := _uint64s()) is not None:
        try:
            yield from numbers(bytes_field(1, whole))
        except ValueError as error:
            raise WireError(str(error)) from None
        return
    at = 0
    while at < len(data):
        value, at = _read_varint(data, at)
        yield value


@cache
def _uint64s() -> Callable[[bytes], Iterable[int]] | None:
    """protobuf's own parser of a message whose first field is a list of integers; None where it is not installed. It
    raises ValueError."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
    except ImportError:
        return None
    file = descriptor_pb2.FileDescriptorProto(name="tiphys/integers.proto", syntax="proto3")
    field = file.message_type.add(name="Integers").field.add(name="values", number=1)
    field.type, field.label = field.TYPE_UINT64, field.LABEL_REPEATED
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("Integers"))

    def read(data: bytes) -> Iterable[int]:
        try:
            values: Iterable[int] = made.FromString(data).values
        except message.DecodeError as error:
            raise ValueError(str(error)) from None
        return values

    return read


# ---- writing
def varint(value: int) -> bytes:
    """Negative numbers take ten bytes, as int32 and int64 fields write them."""
    value &= 0xFFFFFFFFFFFFFFFF
    if value < 128:
        return bytes((value,))
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def bytes_field(field: int, data: bytes) -> bytes:
    """A field of bytes, of a string, or of a message that is written already."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def int_field(field: int, value: int) -> bytes:
    """An integer, bool or enum field; nothing for 0, the default."""
    return varint(field << 3) + varint(value) if value else b""


def float_field(field: int, value: float) -> bytes:
    return varint(field << 3 | 5) + struct.pack("<f", value) if value else b""


def map_field(field: int, entries: Iterable[tuple[str, T]], write: Callable[[T], bytes]) -> bytes:
    """A map field from strings to messages."""
    return b"".join(
        bytes_field(field, bytes_field(1, key.encode()) + bytes_field(2, write(value)))
        for key, value in entries
    )


def quoted(text: str) -> str:
    """A string of the text format: what is not printable ASCII as octal bytes."""
    escaped = (
        chr(each) if 32 <= each < 127 and each not in b'"\\' else f"\\{each:03o}" for each in text.encode()
    )
    return f'"{"".join(escaped)}"'
