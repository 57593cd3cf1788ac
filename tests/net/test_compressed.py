"""What is unpacked, and what is not."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.net.compressed import KINDS, unpacked

PACK = {"gzip": gzip.compress, "deflate": zlib.compress}


@given(st.binary(max_size=300), st.sampled_from(KINDS))
def test_it_comes_back_and_nothing_that_is_larger_does(data: bytes, kind: str) -> None:
    packed = PACK[kind](data)
    assert unpacked(packed, kind, len(data)) == unpacked(packed, kind, 1000) == data
    if data:
        with pytest.raises(OverflowError, match=f"larger than {len(data) - 1} bytes"):
            unpacked(packed, kind, len(data) - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_off_or_something_else(kind: str) -> None:
    packed = PACK[kind](b"abc" * 1000)
    for wrong in (packed[:-6], packed[:2], b"nonsense" * 10, b"\xff" + packed[1:]):
        with pytest.raises(ValueError, match=r"\w"):
            unpacked(wrong, kind, 10_000)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_is_not_unpacked(kind: str) -> None:
    with pytest.raises(OverflowError):
        unpacked(PACK[kind](bytes(50_000_000)), kind, 1000)
