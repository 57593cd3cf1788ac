"""Texts as Go has them: bytes that are read as UTF-8, cases and spaces rune by rune.

A cut through a character leaves bytes that are no text. They are kept as lone surrogates (``surrogateescape``), so that
pieces can be put together again, and become U+FFFD where Go writes JSON.
"""

from __future__ import annotations

import re
import unicodedata

from tiphys.lazy import regex

__all__ = [
    "SPACES",
    "atoi",
    "atoi_problem",
    "bounded",
    "cut",
    "find",
    "from_bytes",
    "is_space",
    "is_upper",
    "joined",
    "lower",
    "parse_float",
    "quote",
    "size",
    "title_rune",
    "to_bytes",
    "upper",
    "visible",
]

SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_BROKEN = regex("[\ud800-\udfff]")
_INTEGER = regex(r"[+-]?[0-9]+", re.ASCII)
_FLOAT = regex(
    r"[+-]?(?:inf(?:inity)?|(?:[0-9]+(?:_[0-9]+)*\.?[0-9]*(?:_[0-9]+)*|\.[0-9]+(?:_[0-9]+)*)(?:e[+-]?[0-9]+)?)|nan",
    re.ASCII | re.IGNORECASE,
)
_HEX_FLOAT = regex(r"[+-]?0x[0-9a-f]*\.?[0-9a-f]*p[+-]?[0-9]+", re.ASCII | re.IGNORECASE)
_NAMED = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
          "\\": "\\\\", '"': '\\"'}  # fmt: skip
_PRINTABLE = ("L", "M", "N", "P", "S")


def to_bytes(text: str) -> bytes:
    """Return the bytes of a text, broken ones included."""
    return text.encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> str:
    """Return bytes as a text; what is no UTF-8 is kept."""
    return data.decode("utf-8", "surrogateescape")


def visible(text: str) -> str:
    """Return a text as Go's JSON shows it: bytes that are no UTF-8 are U+FFFD."""
    if text.isascii() or not _BROKEN.search(text):
        return text
    return _BROKEN.sub("\ufffd", from_bytes(to_bytes(text)))


def joined(left: str, right: str) -> str:
    """Return two texts as one: broken bytes at the seam may make a character."""
    text = left + right
    return text if text.isascii() or not _BROKEN.search(text) else from_bytes(to_bytes(text))


def size(text: str) -> int:
    """Return the length in bytes."""
    return len(text) if text.isascii() else len(to_bytes(text))


def cut(text: str, start: int, end: int) -> str:
    """Return the bytes from ``start`` to before ``end``, both within the text."""
    return text[start:end] if text.isascii() else from_bytes(to_bytes(text)[start:end])


def find(text: str, part: str, *, last: bool = False) -> int:
    """Return the byte at which ``part`` begins, or -1."""
    at = text.rfind(part) if last else text.find(part)
    return at if at < 0 or text.isascii() else size(text[:at])


def _upper(rune: str) -> str:
    for cased in (rune.upper(), rune.title()):
        if len(cased) == 1:
            return cased
    return rune


def _lower(rune: str) -> str:
    return "i" if rune == "\u0130" else rune.lower()


def title_rune(rune: str) -> str:
    """Return a rune in title case."""
    cased = rune.title()
    return cased if len(cased) == 1 else rune


def upper(text: str) -> str:
    """Return each rune in upper case: one for one."""
    return text.upper() if text.isascii() else "".join(map(_upper, text))


def lower(text: str) -> str:
    """Return each rune in lower case: one for one."""
    return text.lower() if text.isascii() else "".join(map(_lower, text))


def is_space(rune: str) -> bool:
    """Return Go's ``unicode.IsSpace``."""
    return rune in SPACES


def is_upper(rune: str) -> bool:
    """Return Go's ``unicode.IsUpper``."""
    return unicodedata.category(rune) == "Lu"


def quote(text: str) -> str:
    """Return ``%q`` of a text."""
    return '"' + "".join(map(_quoted_rune, from_bytes(to_bytes(text)))) + '"'


def _quoted_rune(rune: str) -> str:
    if rune in _NAMED:
        return _NAMED[rune]
    code = ord(rune)
    if rune == " " or unicodedata.category(rune)[0] in _PRINTABLE:
        return rune
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return (
        f"\\x{code:02x}"
        if code < 0x20 or code == 0x7F
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )


def bounded(text: str) -> int:
    """The number of digits with or without a sign; of more than 64 bits hold, one that they do not hold either: Python
    reads no more than some thousand digits."""
    digits = text.lstrip("+-").lstrip("0")[:21] or "0"
    return -int(digits) if text.startswith("-") else int(digits)


def atoi(text: str) -> int | None:
    """Return the whole number that ``strconv.Atoi`` reads, or None."""
    if not _INTEGER.fullmatch(text):
        return None
    number = bounded(text)
    return number if -(2**63) <= number < 2**63 else None


def atoi_problem(text: str) -> str:
    """What ``strconv.Atoi`` says of a text that it does not read."""
    return "value out of range" if _INTEGER.fullmatch(text) else "invalid syntax"


def parse_float(text: str) -> float | None:
    """Return the number that ``strconv.ParseFloat`` reads, or None."""
    if _HEX_FLOAT.fullmatch(text):
        return float.fromhex(text)
    return float(text) if _FLOAT.fullmatch(text) else None
