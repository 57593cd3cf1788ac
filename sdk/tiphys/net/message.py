"""Requests and responses as values."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

__all__ = [
    "Headers",
    "HttpRequest",
    "HttpResponse",
    "bearer_token",
    "encode_body",
    "encode_head",
    "error_body",
    "error_response",
]

Headers = Sequence[tuple[bytes, bytes]]

JSON = "application/json"


@dataclass(slots=True)
class HttpRequest:
    """A whole request; header names are lower case, ``target`` is as it was sent."""

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    peer: str = ""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header (lower-case name), or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def token(self) -> str:
        """Its :func:`bearer_token`; empty for none."""
        return bearer_token((self.header(b"authorization") or b"").decode("latin-1"))


def bearer_token(value: str) -> str:
    """The token of a header ``Authorization: Bearer TOKEN`` (RFC 6750); empty for any other."""
    kind, _, token = value.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


@dataclass(slots=True)
class HttpResponse:
    """A whole response. ``headers`` come after Content-Type and before Content-Length. ``trailers`` come after the
    body, which goes in chunks then (RFC 9112, 7.1.2); who speaks HTTP/1.0 does not get them."""

    status: int
    body: bytes = b""
    content_type: str | None = JSON
    headers: Headers = ()
    close: bool = False
    trailers: Headers = ()


def error_body(message: str) -> bytes:
    """TensorFlow Serving's error document (RapidJSON's pretty writer: four spaces, UTF-8 as it is)."""
    return b'{\n    "error": ' + json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n}"


def error_response(status: int, message: str, *, close: bool = False) -> HttpResponse:
    return HttpResponse(status, error_body(message), close=close)


_REASONS = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}
_date: tuple[int, bytes] = (0, b"")


def _http_date() -> bytes:
    """The Date header's value, formatted once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True).encode())
    return _date[1]


def encode_head(
    response: HttpResponse, *, keep_alive: bool, http10: bool, length: int | None = None
) -> bytes:
    """The status line and headers, ready to be sent."""
    status = response.status
    parts = [b"HTTP/1.1 %d %s\r\n" % (status, _REASONS.get(status, "Unknown").encode())]
    has_date = False
    if response.content_type is not None:
        parts.append(b"Content-Type: %s\r\n" % response.content_type.encode("latin-1"))
    for name, value in response.headers:
        has_date = has_date or name.lower() == b"date"
        parts.append(b"%s: %s\r\n" % (name, value))
    if not has_date:
        parts.append(b"Date: %s\r\n" % _http_date())
    if response.trailers and not http10:
        parts.append(b"Transfer-Encoding: chunked\r\n")
    else:
        parts.append(b"Content-Length: %d\r\n" % (len(response.body) if length is None else length))
    if not keep_alive:
        parts.append(b"Connection: close\r\n")
    elif http10:
        parts.append(b"Connection: keep-alive\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


def encode_body(response: HttpResponse, *, http10: bool) -> Sequence[bytes]:
    """What follows the head, in parts; nothing for an answer without a body."""
    body = response.body
    if not response.trailers or http10:
        return (body,) if body else ()
    chunk = (b"%x\r\n" % len(body), body, b"\r\n") if body else ()
    fields = b"".join(b"%s: %s\r\n" % field for field in response.trailers)
    return *chunk, b"0\r\n" + fields + b"\r\n"
