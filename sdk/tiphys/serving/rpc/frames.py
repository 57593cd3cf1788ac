"""gRPC's calls as requests and answers of HTTP/1.1: as a proxy that ends HTTP/2 sends them on.

The headers are those of gRPC over HTTP/2, and the body is the message behind five bytes. The status comes in trailers,
or in the headers where there is no message. (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md; what codes
mean: doc/statuscodes.md there.)
"""

from __future__ import annotations

import asyncio
import re
import struct
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from tiphys.net import HttpResponse
from tiphys.net.compressed import KINDS, unpacked
from tiphys.serving.model.servable import Code, ModelError

if TYPE_CHECKING:
    from tiphys.net import HttpRequest

__all__ = [
    "CONTENT_TYPE",
    "PIN_HEADER",
    "answer",
    "framed",
    "is_call",
    "message_of",
    "refusal",
    "said",
    "seconds_of",
]

CONTENT_TYPE = "application/grpc"
PIN_HEADER = b"x-tiphys-pin"
"""In which a balancer says what it names to who names no version: the body of a call it leaves as it is."""
_TYPES = (b"application/grpc", b"application/grpc+proto")
_PREFIX = struct.Struct(">BI")
_SAID = 6000  # bytes, percent-encoded, of the 8192 that headers may have
_PRINTABLE = bytes(each for each in range(32, 127) if each != ord("%"))
_TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])")
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_STATUS = b"grpc-status"


# ---- requests
def is_call(request: HttpRequest) -> bool:
    """Whether a request is a call."""
    kind = request.header(b"content-type")
    if kind is None or request.method != "POST":
        return False
    return kind.partition(b";")[0].strip().lower() in _TYPES


def seconds_of(request: HttpRequest) -> float | None:
    """How long its caller waits; None: for ever. Raises ModelError INTERNAL."""
    value = request.header(b"grpc-timeout")
    if value is None:
        return None
    match = _TIMEOUT.fullmatch(value)
    if match is None:
        raise ModelError(Code.INTERNAL, f"Malformed grpc-timeout: {value.decode('latin-1')}")
    return int(match[1]) * _UNITS[match[2]]


async def message_of(request: HttpRequest, most: int) -> bytes:
    """The message that a call has. Raises ModelError: UNIMPLEMENTED for none, for several, and for one that is packed
    in a way that is not known, INTERNAL for a malformed one, RESOURCE_EXHAUSTED for one of more than ``most`` bytes."""
    body = request.body
    if not body:
        raise ModelError(Code.UNIMPLEMENTED, "A call has one message, and none came.")
    if len(body) < _PREFIX.size:
        raise ModelError(Code.INTERNAL, "The message is cut off.")
    packed, size = _PREFIX.unpack_from(body)
    if packed > 1:
        raise ModelError(Code.INTERNAL, "Malformed message: its first byte says whether it is compressed.")
    if size > most:
        raise _too_large(f"{size} bytes, and {most} are taken")
    came = len(body) - _PREFIX.size
    if came < size:
        raise ModelError(Code.INTERNAL, f"The message is cut off: {came} of {size} bytes came.")
    if came > size:
        raise ModelError(Code.UNIMPLEMENTED, "A call has one message, and more came.")
    if not packed:
        return body[_PREFIX.size :]
    kind = (request.header(b"grpc-encoding") or b"identity").decode("latin-1")
    if kind == "identity":
        raise ModelError(Code.INTERNAL, "The message is compressed, and grpc-encoding does not say how.")
    if kind not in KINDS:
        raise ModelError(Code.UNIMPLEMENTED, f"Messages are not taken that are compressed by {kind!r}.")
    try:  # it leaves the interpreter's lock to others
        return await asyncio.to_thread(unpacked, body[_PREFIX.size :], kind, most)
    except ValueError as error:
        raise ModelError(Code.INTERNAL, f"The message cannot be decompressed: {error}") from None
    except OverflowError as error:
        raise _too_large(str(error)) from None


def _too_large(how: str) -> ModelError:
    return ModelError(Code.RESOURCE_EXHAUSTED, f"The message is too large: {how}.")


def framed(message: bytes) -> bytes:
    """A message as a call or its answer has it."""
    return _PREFIX.pack(0, len(message)) + message


# ---- answers
def answer(message: bytes) -> HttpResponse:
    """That of a call that went well."""
    return HttpResponse(200, framed(message), CONTENT_TYPE, trailers=((_STATUS, b"0"),))


def refusal(code: Code, message: str) -> HttpResponse:
    """That of a call that failed."""
    headers = [(_STATUS, b"%d" % code.value), (b"grpc-message", _encoded(said(message)).encode())]
    if code is Code.UNIMPLEMENTED:
        headers.append((b"grpc-accept-encoding", ",".join(("identity", *KINDS)).encode()))
    return HttpResponse(200, b"", CONTENT_TYPE, headers)


def said(message: str) -> str:
    """An error's text, cut to what gRPC takes: of more a client's library ends the connection, which is that of others
    where a balancer is the client."""
    message = message[:_SAID]
    while len(_encoded(message)) > _SAID:
        message = message[: len(message) // 2]
    return message


def _encoded(message: str) -> str:
    return quote_from_bytes(message.encode("utf-8", "replace"), _PRINTABLE)
