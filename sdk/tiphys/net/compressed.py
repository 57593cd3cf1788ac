"""Bodies and messages that were made small: unpacked, and not without end."""

from __future__ import annotations

import gzip
import zlib
from io import BytesIO

__all__ = ["KINDS", "unpacked"]

KINDS = ("gzip", "deflate")
"""What :func:`unpacked` knows, by the names that HTTP has for it (RFC 9110, 8.4.1)."""


def unpacked(sent: bytes, kind: str, most: int) -> bytes:
    """What was sent, at most ``most`` bytes; a few of it may become very many. Raises ValueError for what is no such
    thing, or cut off, and OverflowError for more."""
    try:
        if kind == "gzip":
            with gzip.GzipFile(fileobj=BytesIO(sent)) as stream:
                found = stream.read(most + 1)
        else:
            inflating = zlib.decompressobj()
            found = inflating.decompress(sent, most + 1)
            if not inflating.eof and len(found) <= most:
                raise EOFError("it ends before the end-of-stream marker was reached")
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(str(error)) from None
    if len(found) > most:
        raise OverflowError(f"larger than {most} bytes")
    return found
