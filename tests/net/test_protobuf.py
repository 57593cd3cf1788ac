"""Protobuf's wire format. protobuf itself judges what it is used for here, too: few integers are read without it."""

from __future__ import annotations

import pytest

from tiphys.net import protobuf
from tiphys.net.protobuf import WireError, packed_varints, varint

NUMBERS = [0, 1, 127, 128, 300, 2**31, 2**35 - 1, 2**63, 2**64 - 1]
MANY = NUMBERS * 5000


@pytest.fixture(params=["with protobuf", "without"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is installed."""
    if request.param == "without":
        monkeypatch.setattr(protobuf, "_uint64s", lambda: None)
    else:
        pytest.importorskip("google.protobuf")


@pytest.mark.usefixtures("library")
def test_integers_behind_one_another() -> None:
    for numbers in (NUMBERS, MANY, [5, 0, 127] * 50_000, []):
        assert [*packed_varints(memoryview(b"".join(map(varint, numbers))))] == numbers


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("end", [b"\x80", b"\xff" * 10, b"\x80" * 10 + b"\x01"])
def test_what_is_cut_off_or_too_long(end: bytes) -> None:
    for numbers in (NUMBERS, MANY):
        with pytest.raises(WireError):
            list(packed_varints(memoryview(b"".join(map(varint, numbers)) + end)))
