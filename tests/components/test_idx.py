"""The idx reader against files that are not what they claim to be."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import pytest

from components.idx import read_images, read_labels, read_pair
from tiphys.errors import ComponentError

np = pytest.importorskip("numpy")

IMAGES = struct.pack(">HBBIII", 0, 8, 3, 2, 28, 28) + bytes(range(256)) * 6 + bytes(32)
LABELS = struct.pack(">HBBI", 0, 8, 1, 2) + bytes([9, 0])


def write(folder: Path, data: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gzip"])
def test_reads_images_and_labels(tmp_path: Path, pack: object) -> None:
    images = read_images(write(tmp_path, pack(IMAGES)))  # type: ignore[operator]
    assert images.shape == (2, 28, 28)
    assert images.dtype == np.uint8
    assert images.tobytes() == IMAGES[16:]
    assert read_labels(write(tmp_path, pack(LABELS))).tolist() == [9, 0]  # type: ignore[operator]


BAD_IMAGES = {
    "empty": (b"", "ends inside its header: 0 of 4"),
    "only the magic number": (IMAGES[:4], "ends inside its header"),
    "cut off": (IMAGES[:-1], "ends inside its data: 1583 of 1584 bytes"),
    "too long": (IMAGES + b"x", "1 bytes more than its header announces"),
    "labels": (LABELS, "file of labels, expected images"),
    "floats": (b"\0\0\x0d\x03" + IMAGES[4:], "magic number 3331 instead of 2051"),
    "text": (b"<html>not found</html>", "magic number"),
    "huge count": (struct.pack(">HBBIII", 0, 8, 3, 2**32 - 1, 28, 28), "claims 4294967295 examples"),
    "other size": (
        struct.pack(">HBBIII", 0, 8, 3, 2, 32, 32) + bytes(2048),
        "32 x 32 pixels, expected 28 x 28",
    ),
    "gzip cut off": (gzip.compress(IMAGES)[:-9], "gzip stream is damaged or cut off"),
    "gzip too long": (gzip.compress(IMAGES + b"x"), "bytes behind the 1568 bytes"),
    "gzip too short": (gzip.compress(IMAGES[:-1]), "ends inside its data"),
}


OTHER_FILES = {
    "zip": (b"PK\x03\x04" + bytes(60), "zip archive", "unpack"),
    "npy": (b"\x93NUMPY\x01\x00v\x00{'descr'", "NumPy", "idx files"),
    "gzip twice": (gzip.compress(gzip.compress(IMAGES)), "packed with gzip twice", "gunzip"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS", "git lfs pull"),
    "page": (b"\n<!DOCTYPE HTML><html>", "web page", "login"),
    "packed page": (gzip.compress(b"<html><body>"), "web page", "login"),
    "xml": (b"<?xml version='1.0'?><Error/>", "web page", "login"),
    "json": (b'{"message": "Not Found"}', "JSON", "login"),
    "text": (b"not found\n", "text that begins with 'not found", "idx files"),
    "int32": (struct.pack(">HBBIII", 0, 0x0C, 3, 2, 28, 28), "int32 values", "unsigned bytes"),
    "float": (struct.pack(">HBBIII", 0, 0x0D, 3, 2, 28, 28), "float32 values", "unsigned bytes"),
    "two dimensions": (struct.pack(">HBBII", 0, 8, 2, 2, 784), "2 dimensions, but images have 3", "28, 28"),
    "four dimensions": (struct.pack(">HBBIIII", 0, 8, 4, 2, 28, 28, 1), "4 dimensions", "28, 28"),
    "little-endian": (struct.pack("<IIII", 0x803, 2, 28, 28), "little-endian", "big-endian"),
    "bzip2": (b"BZh91AY&SY", "bzip2", "unpack"),
    "tar": (bytes(257) + b"ustar\x0000", "tar archive", "unpack"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "HDF5", "idx files"),
    "png": (b"\x89PNG\r\n\x1a\n", "PNG", "idx files"),
    "noise": (bytes([200, 1, 7, 250, 3]), "magic number", "fetch the file again"),
}


@pytest.mark.parametrize("case", OTHER_FILES)
def test_says_what_the_file_is(tmp_path: Path, case: str) -> None:
    data, what, fix = OTHER_FILES[case]
    with pytest.raises(ComponentError) as caught:
        read_images(write(tmp_path, data))
    assert caught.value.code == "TIP704"
    assert what in caught.value.cause and fix in caught.value.fix


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_refuses_images(tmp_path: Path, case: str) -> None:
    data, reason = BAD_IMAGES[case]
    with pytest.raises(ComponentError) as caught:
        read_images(write(tmp_path, data))
    assert caught.value.code == "TIP704"
    assert reason in caught.value.cause


def test_a_flipped_bit_in_a_gzip_stream_is_noticed(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(IMAGES))
    data[-6] ^= 1  # in the checksum
    with pytest.raises(ComponentError) as caught:
        read_images(write(tmp_path, bytes(data)))
    assert "damaged" in caught.value.cause


def test_a_label_outside_the_classes(tmp_path: Path) -> None:
    with pytest.raises(ComponentError) as caught:
        read_labels(write(tmp_path, LABELS[:-1] + b"\x0a"))
    assert caught.value.cause == "label 1 is 10, but there are only classes 0 to 9"


def test_swapped_files(tmp_path: Path) -> None:
    with pytest.raises(ComponentError) as caught:
        read_pair(write(tmp_path, LABELS, "images"), write(tmp_path, IMAGES, "labels"))
    assert "are two files swapped?" in caught.value.cause


def test_counts_that_differ(tmp_path: Path) -> None:
    three = struct.pack(">HBBI", 0, 8, 1, 3) + bytes(3)
    with pytest.raises(ComponentError) as caught:
        read_pair(write(tmp_path, IMAGES, "images"), write(tmp_path, three, "labels"))
    assert caught.value.code == "TIP705"
    assert "2 images" in caught.value.message
    assert "3 labels" in caught.value.message


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ComponentError) as caught:
        read_labels(tmp_path / "nothing")
    assert caught.value.code == "TIP703"


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(ComponentError) as caught:
        read_labels(tmp_path)
    assert caught.value.code == "TIP704"


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_a_header_that_claims_gigabytes_costs_none(tmp_path: Path, kind: str) -> None:
    sides = struct.pack(">II", 28, 28) if kind == "images" else b""
    header = struct.pack(">HBBI", 0, 8, 3 if sides else 1, 10_000_000) + sides
    path = write(tmp_path, gzip.compress(header + bytes(5000)))
    tracemalloc.start()
    try:
        with pytest.raises(ComponentError, match="TIP704"):
            (read_images if sides else read_labels)(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
