"""Calls as HTTP has them."""

from __future__ import annotations

import asyncio
import gzip
import struct
import zlib
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.net import HttpRequest
from tiphys.serving.model import ModelError
from tiphys.serving.model.servable import Code
from tiphys.serving.rpc import frames

MOST = 1000


def request(body: bytes = b"", method: str = "POST", **headers: str) -> HttpRequest:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HttpRequest(method, "/a.B/C", named, body)


def message(body: bytes, **headers: str) -> bytes:
    return asyncio.run(frames.message_of(request(body, **headers), MOST))


def packed(data: bytes) -> bytes:
    return b"\1" + struct.pack(">I", len(data)) + data


@pytest.mark.parametrize(
    ("kind", "is_one"),
    [
        ("application/grpc", True),
        ("application/grpc+proto", True),
        ("Application/GRPC; charset=x", True),
        ("application/grpc+json", False),
        ("application/grpc-web", False),
        ("application/json", False),
    ],
)
def test_what_is_a_call(kind: str, is_one: bool) -> None:
    assert frames.is_call(request(content_type=kind)) == is_one
    assert not frames.is_call(request(method="GET", content_type=kind))
    assert not frames.is_call(request())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("2H", 7200), ("3M", 180), ("5S", 5), ("250m", 0.25), ("99999999u", 99.999999), ("0n", 0)],
)
def test_deadlines(value: str, seconds: float) -> None:
    assert frames.seconds_of(request(grpc_timeout=value)) == pytest.approx(seconds)
    assert frames.seconds_of(request()) is None


@pytest.mark.parametrize("value", ["", "5", "S", "123456789S", "-1S", "1.5S", "5s", "٣S"])
def test_deadlines_that_are_none(value: str) -> None:
    with pytest.raises(ModelError, match="INTERNAL: Malformed grpc-timeout"):
        frames.seconds_of(request(grpc_timeout=value))


@given(st.binary(max_size=MOST))
def test_messages_come_back(data: bytes) -> None:
    assert message(frames.framed(data)) == message(packed(gzip.compress(data)), grpc_encoding="gzip") == data
    assert message(packed(zlib.compress(data)), grpc_encoding="deflate") == data
    assert message(frames.framed(data), grpc_encoding="gzip") == data  # which only may be compressed


@pytest.mark.parametrize(
    ("body", "encoding", "said"),
    [
        (b"", "", "UNIMPLEMENTED: A call has one message, and none came."),
        (b"\0\0\0", "", "INTERNAL: The message is cut off."),
        (b"\0\0\0\0\5abc", "", "INTERNAL: The message is cut off: 3 of 5 bytes came."),
        (frames.framed(b"a") * 2, "", "UNIMPLEMENTED: A call has one message, and more came."),
        (b"\7\0\0\0\1a", "", "INTERNAL: Malformed message"),
        (b"\0\xff\xff\xff\xffa", "", "RESOURCE_EXHAUSTED: The message is too large: 4294967295 bytes"),
        (packed(b"a"), "", "INTERNAL: The message is compressed, and grpc-encoding does not say how."),
        (packed(b"a"), "br", "UNIMPLEMENTED: Messages are not taken that are compressed by 'br'."),
        (packed(b"a"), "gzip", "INTERNAL: The message cannot be decompressed"),
        (packed(gzip.compress(b"abc", mtime=0)[:-1]), "gzip", "INTERNAL: The message cannot be decompressed"),
        (
            packed(gzip.compress(bytes(100_000), mtime=0)),
            "gzip",
            "RESOURCE_EXHAUSTED: The message is too large",
        ),
        (packed(zlib.compress(bytes(100_000))), "deflate", "RESOURCE_EXHAUSTED: The message is too large"),
    ],
)
def test_messages_that_are_wrong(body: bytes, encoding: str, said: str) -> None:
    with pytest.raises(ModelError) as told:
        message(body, **({"grpc_encoding": encoding} if encoding else {}))
    assert str(told.value).startswith(said)


@given(st.binary(max_size=60), st.sampled_from(["identity", "gzip", "deflate"]))
def test_any_bytes_are_a_message_or_one_error(body: bytes, encoding: str) -> None:
    try:
        message(body, grpc_encoding=encoding)
    except ModelError as error:
        assert error.message


def test_answers() -> None:
    found = frames.answer(b"abc")
    assert (found.status, found.body, found.content_type) == (200, b"\0\0\0\0\3abc", "application/grpc")
    assert found.trailers == ((b"grpc-status", b"0"),) and found.headers == ()
    refused = frames.refusal(Code.UNIMPLEMENTED, "100 % grüß\n")
    assert (refused.status, refused.body, refused.trailers) == (200, b"", ())
    assert dict(refused.headers) == {
        b"grpc-status": b"12",
        b"grpc-message": b"100 %25 gr%C3%BC%C3%9F%0A",
        b"grpc-accept-encoding": b"identity,gzip,deflate",
    }


@given(st.text(max_size=3000).map(lambda text: text * 5))
def test_what_is_said_fits_in_a_header(text: str) -> None:
    said = dict(frames.refusal(Code.INTERNAL, text).headers)[b"grpc-message"].decode()
    assert len(said) <= 6000 and said.isascii() and (said.isprintable() or not said)
    whole = text.encode("utf-8", "replace").decode()
    assert whole.startswith(unquote(said)) and (said or not text)
