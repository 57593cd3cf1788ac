"""What a file is that is not the idx file it was taken for, by its first bytes, and what helps."""

from __future__ import annotations

import struct

__all__ = ["describe"]

_UNPACK = "unpack it and give the files that are inside"
_AGAIN = "fetch the file itself: what came is a page of the server, perhaps a login or an error"
_IDX = "give the data set's idx files, as on its web site"
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive (perhaps an .npz of NumPy)", _UNPACK),
    (b"PK\x05\x06", "an empty zip archive", _IDX),
    (b"\x1f\x8b", "packed with gzip twice", "unpack it once: gunzip"),
    (
        b"version https://git-lfs",
        "a pointer of Git LFS, not the data",
        "run `git lfs pull` where it comes from",
    ),
    (b"\x93NUMPY", "an array of NumPy (.npy)", _IDX),
    (b"BZh", "packed with bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "packed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-zip archive", _UNPACK),
    (b"\x89HDF\r\n", "an HDF5 file", _IDX),
    (b"PAR1", "a Parquet file", _IDX),
    (b"\x89PNG", "a PNG picture", _IDX),
    (b"\xff\xd8\xff", "a JPEG picture", _IDX),
    (b"%PDF", "a PDF document", _IDX),
)
_TYPES = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<?xml")
_RANKS = {1: "labels", 3: "images"}


def describe(head: bytes, kind: str) -> tuple[str, str]:
    """Say what begins with ``head``, and how to go on; ``kind``: ``images`` or ``labels``, which were expected."""
    wanted = 0x0803 if kind == "images" else 0x0801
    what, fix = _known(head, kind)
    number = f"magic number {struct.unpack('>I', head[:4])[0]} instead of {wanted}"
    return (f"{number}: {what}" if what else number), fix


def _known(head: bytes, kind: str) -> tuple[str, str]:
    for signature, what, fix in _SIGNATURES:
        if head.startswith(signature):
            return f"it is {what}", fix
    if head[257:262] == b"ustar":
        return "it is a tar archive", _UNPACK
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PAGES):
        return "it is a web page (HTML or XML)", _AGAIN
    if found := _of_idx(head, kind):
        return found
    if text[:1] in (b"{", b"["):
        return "it is JSON text", _AGAIN
    if head and all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head):
        return f"it is text that begins with {head[:20].decode('ascii')!r}", _IDX
    return "", ""


def _of_idx(head: bytes, kind: str) -> tuple[str, str] | None:
    """An idx file, but another one."""
    wanted = 3 if kind == "images" else 1
    zero, code, rank = struct.unpack(">HBB", head[:4])
    if zero == 0 and code in _TYPES and 1 <= rank <= 8:
        return f"it is an idx file of {_TYPES[code]} values, expected unsigned bytes", (
            "write the pixels (or labels) as unsigned bytes, type code 0x08"
        )
    if zero == 0 and code == 0x08 and rank in _RANKS:
        return (
            f"this is a file of {_RANKS[rank]}, expected {kind} (are two files swapped?)",
            "",
        )
    if zero == 0 and code == 0x08 and 1 <= rank <= 8:
        return f"it is an idx file with {rank} dimensions, but {kind} have {wanted}", (
            "write images as (examples, 28, 28) and labels as (examples)"
        )
    if head[2:4] == b"\x00\x00" and head[1] == 0x08:
        return (
            "its numbers are written little-endian, but idx is big-endian",
            "write it with big-endian integers",
        )
    return None
