"""Elements as they lie in memory; what ``struct`` packs judges."""

from __future__ import annotations

import struct
from array import array

import pytest

from tiphys.serving.model.packed import TYPECODES, packed, settled, unpacked
from tiphys.serving.model.servable import Tensor

CODES = {**TYPECODES, "DT_HALF": "e", "DT_BOOL": "?"}


@pytest.mark.parametrize("dtype", sorted(TYPECODES))
def test_elements_come_and_go(dtype: str) -> None:
    values = [0, 1, 1] if dtype == "DT_BOOL" else [0, 1, 100]
    content = struct.pack(f"<3{CODES[dtype]}", *values)
    found = unpacked(dtype, content)
    assert list(found) == values
    assert packed(Tensor(dtype, (3,), found)) == content
    assert packed(Tensor(dtype, (3,), values)) == content
    assert list(unpacked(dtype, memoryview(content))) == values
    assert list(unpacked(dtype, b"")) == []


def test_values_of_one_byte_are_bytes_and_a_bool_is_one_of_two() -> None:
    assert unpacked("DT_UINT8", b"\x00\xff") == b"\x00\xff"
    assert unpacked("DT_BOOL", b"\x00\x01\x02\xff") == b"\x00\x01\x01\x01"
    assert settled("DT_BOOL", array("B", [7, 0])) == b"\x01\x00"


def test_what_json_reads_as_int32_is_cut() -> None:
    assert packed(Tensor("DT_INT8", (2,), array("i", [300, -1]))) == bytes((44, 255))
    assert packed(Tensor("DT_INT16", (1,), [32768])) == struct.pack("<h", -32768)


def test_of_texts_there_are_none() -> None:
    with pytest.raises(KeyError):
        packed(Tensor("DT_STRING", (1,), [b"x"]))
