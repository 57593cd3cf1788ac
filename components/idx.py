"""A strict reader of the idx format (Yann LeCun's MNIST files), raw or gzip.

The format: two zero bytes, a type code (0x08: unsigned byte), the number of dimensions, each dimension as a
big-endian 32-bit integer, then the data, row-major. Anything that departs from it is an error that says what was
found: an image file where labels belong, a count that the data does not have, bytes behind the end, a damaged gzip
stream, a label outside the classes.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from components.catalog import CLASSES, IMAGE_SIDE
from components.signatures import describe
from tiphys.errors import ComponentError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MAX_EXAMPLES", "read_header", "read_images", "read_labels", "read_pair"]

MAX_EXAMPLES = 10_000_000
_UNSIGNED_BYTE = 0x08
_PIECE = 1 << 20


def read_images(path: Path) -> NDArray[np.uint8]:
    """The images of an idx3 file, shape ``(examples, 28, 28)``, dtype uint8; a raw file is mapped, not loaded.

    Raises ComponentError TIP704 for anything that is not a whole, well-formed file of 28 x 28 images.
    """
    import numpy as np

    with _open(path) as stream:
        dimensions = read_header(stream, path, "images")
        if dimensions[1:] != (IMAGE_SIDE, IMAGE_SIDE):
            raise _invalid(path, f"its images are {dimensions[1]} x {dimensions[2]} pixels, expected 28 x 28")
        size = dimensions[0] * IMAGE_SIDE * IMAGE_SIDE
        if _is_gzip(path):
            data = np.frombuffer(_exactly(stream, size, path), dtype=np.uint8)
            return data.reshape(dimensions)
    _check_size(path, 16 + size)
    if not size:
        return np.zeros(dimensions, dtype=np.uint8)
    return np.memmap(path, dtype=np.uint8, mode="r", offset=16, shape=dimensions)


def read_labels(path: Path, classes: int = len(CLASSES)) -> NDArray[np.uint8]:
    """The labels of an idx1 file, shape ``(examples,)``, dtype uint8, each below ``classes``."""
    import numpy as np

    with _open(path) as stream:
        (count,) = read_header(stream, path, "labels")
        labels = np.frombuffer(_exactly(stream, count, path), dtype=np.uint8)
    if count and int(labels.max()) >= classes:
        first = int((labels >= classes).argmax())
        raise _invalid(
            path, f"label {first} is {int(labels[first])}, but there are only classes 0 to {classes - 1}"
        )
    return labels


def read_pair(images_path: Path, labels_path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images and their labels. Raises ComponentError TIP705 when the two files do not belong together."""
    images, labels = read_images(images_path), read_labels(labels_path)
    if len(images) != len(labels):
        raise ComponentError(
            "TIP705",
            f"{images_path.name} has {len(images)} images but {labels_path.name} has {len(labels)} labels",
            where=str(images_path.parent),
            cause="the two files are of different splits or data sets",
            fix="give the train images with the train labels, and the t10k images with the t10k labels",
        )
    return images, labels


def read_header(stream: BinaryIO, path: Path, kind: str) -> tuple[int, ...]:
    """Read and check the header of an ``images`` or ``labels`` file; return the dimensions."""
    expected = 3 if kind == "images" else 1
    head = _take(stream, 4, path, "its header")
    if head != bytes((0, 0, _UNSIGNED_BYTE, expected)):
        cause, fix = describe(head + _more(stream), kind)
        raise _invalid(path, cause, fix)
    rank = expected
    dimensions = struct.unpack(f">{rank}I", _take(stream, 4 * rank, path, "its header"))
    if dimensions[0] > MAX_EXAMPLES:
        raise _invalid(path, f"its header claims {dimensions[0]} examples, more than {MAX_EXAMPLES}")
    return cast("tuple[int, ...]", dimensions)


def _open(path: Path) -> BinaryIO:
    try:
        return cast(BinaryIO, gzip.open(path)) if _is_gzip(path) else path.open("rb")
    except FileNotFoundError as error:
        raise ComponentError(
            "TIP703",
            f"the data file {path.name} is missing",
            where=str(path.parent),
            fix="supply all four files",
        ) from error
    except OSError as error:
        raise _invalid(path, f"it cannot be opened: {error.strerror}") from error


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _take(stream: BinaryIO, size: int, path: Path, what: str) -> bytes:
    found = bytearray()
    try:
        # in pieces: a header may claim gigabytes that are not there
        while len(found) < size and (piece := stream.read(min(size - len(found), _PIECE))):
            found += piece
    except (OSError, EOFError, zlib.error) as error:
        raise _invalid(path, f"its gzip stream is damaged or cut off ({error})") from error
    if len(found) != size:
        raise _invalid(path, f"it ends inside {what}: {len(found)} of {size} bytes are there")
    return bytes(found)


def _more(stream: BinaryIO) -> bytes:
    """As much as a file that is something else needs to be known by."""
    try:
        return stream.read(300)
    except (OSError, EOFError, zlib.error):
        return b""


def _exactly(stream: BinaryIO, size: int, path: Path) -> bytes:
    data = _take(stream, size, path, "its data")
    try:
        extra = stream.read(1)
    except (OSError, EOFError, zlib.error) as error:
        raise _invalid(path, f"its gzip stream is damaged or cut off ({error})") from error
    if extra:
        raise _invalid(path, f"there are bytes behind the {size} bytes of data that its header announces")
    return data


def _check_size(path: Path, expected: int) -> None:
    actual = path.stat().st_size
    if actual < expected:
        raise _invalid(path, f"it ends inside its data: {actual} of {expected} bytes are there")
    if actual > expected:
        raise _invalid(path, f"it has {actual - expected} bytes more than its header announces")


def _invalid(path: Path, cause: str, fix: str = "") -> ComponentError:
    return ComponentError(
        "TIP704",
        f"{path.name} is not a valid idx file",
        where=str(path),
        cause=cause,
        fix=fix or "fetch the file again from its source; it is not the file it claims to be",
    )
