"""RapidJSON's grammar, error texts and offsets.

TensorFlow Serving parses with RapidJSON (NaN and Inf allowed) and tells the client what that says. Python's
parser is used for what is right; a text that it refuses is read again here, which either accepts it (``Inf``
and ``-NaN`` are RapidJSON's, not Python's) or says what RapidJSON would have said, and where.
"""

from __future__ import annotations

import math
import re
from typing import Any

__all__ = ["ParseError", "parse"]

MAX_DEPTH = 200  # RapidJSON has no limit, and overflows its stack


class ParseError(Exception):
    """``message`` is RapidJSON's English text, ``offset`` counts bytes."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


INVALID_VALUE = "Invalid value."
TOO_BIG = "Number too big to be stored in double."
_DIGITS = re.compile(rb"[0-9]+")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_SPACE = re.compile(rb"[ \t\r\n]*")
_ESCAPES = {ord(letter): meant for letter, meant in zip('"\\/bfnrt', '"\\/\b\f\n\r\t', strict=True)}
_HEX = re.compile(rb"[0-9a-fA-F]{0,4}")


def parse(text: bytes) -> Any:
    """Parse a document. Raises ParseError.

    Objects keep the first of equal names (RapidJSON's lookup finds that one). Bytes that are not UTF-8 become
    surrogate escapes.
    """
    start = 3 if text.startswith(b"\xef\xbb\xbf") else 0
    reader = _Reader(text, start)
    reader.space()
    if reader.peek() == 0:
        raise ParseError("The document is empty.", reader.at)
    value = reader.value(0)
    reader.space()
    if reader.peek() != 0:
        raise ParseError("The document root must not be followed by other values.", reader.at)
    return value


class _Reader:
    def __init__(self, text: bytes, at: int) -> None:
        self.text = text
        self.at = at

    def peek(self) -> int:
        return self.text[self.at] if self.at < len(self.text) else 0

    def space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        assert match is not None
        self.at = match.end()

    def take(self, byte: int) -> bool:
        if self.peek() == byte:
            self.at += 1
            return True
        return False

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ParseError("Terminate parsing due to Handler error.", self.at)
        head = self.peek()
        if head == 0x7B:
            return self.object(depth)
        if head == 0x5B:
            return self.array(depth)
        if head == 0x22:
            return self.string()
        for word, result in ((b"null", None), (b"true", True), (b"false", False)):
            if head == word[0]:
                for byte in word:
                    if not self.take(byte):
                        raise ParseError(INVALID_VALUE, self.at)
                return result
        return self.number()

    def object(self, depth: int) -> dict[str, Any]:
        self.at += 1
        self.space()
        result: dict[str, Any] = {}
        if self.take(0x7D):
            return result
        while True:
            if self.peek() != 0x22:
                raise ParseError("Missing a name for object member.", self.at)
            name = self.string()
            self.space()
            if not self.take(0x3A):
                raise ParseError("Missing a colon after a name of object member.", self.at)
            self.space()
            result.setdefault(name, self.value(depth + 1))
            self.space()
            if self.take(0x2C):
                self.space()
            elif self.take(0x7D):
                return result
            else:
                raise ParseError("Missing a comma or } after an object member.", self.at)

    def array(self, depth: int) -> list[Any]:
        self.at += 1
        self.space()
        result: list[Any] = []
        if self.take(0x5D):
            return result
        while True:
            result.append(self.value(depth + 1))
            self.space()
            if self.take(0x2C):
                self.space()
            elif self.take(0x5D):
                return result
            else:
                raise ParseError("Missing a comma or ] after an array element.", self.at)

    def string(self) -> str:
        self.at += 1
        parts: list[str] = []
        while True:
            match = _PLAIN.match(self.text, self.at)
            assert match is not None
            parts.append(match.group().decode("utf-8", "surrogateescape"))
            self.at = match.end()
            head = self.peek()
            if head == 0x22:
                self.at += 1
                return "".join(parts)
            if head == 0x5C:
                parts.append(self.escape())
            elif head == 0:
                raise ParseError("Missing a closing quotation mark in string.", self.at)
            else:
                raise ParseError("Invalid encoding in string.", self.at)

    def escape(self) -> str:
        start = self.at
        self.at += 1
        head = self.peek()
        simple = _ESCAPES.get(head)
        if simple is not None:
            self.at += 1
            return simple
        if head != 0x75:
            raise ParseError("Invalid escape character in string.", start)
        self.at += 1
        code = self.hex4(start)
        if 0xD800 <= code <= 0xDFFF:
            if code > 0xDBFF or not (self.take(0x5C) and self.take(0x75)):
                raise ParseError("The surrogate pair in string is invalid.", start)
            low = self.hex4(start)
            if not 0xDC00 <= low <= 0xDFFF:
                raise ParseError("The surrogate pair in string is invalid.", start)
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        return chr(code)

    def hex4(self, start: int) -> int:
        match = _HEX.match(self.text, self.at)
        assert match is not None
        if len(match.group()) < 4:
            raise ParseError("Incorrect hex digit after \\u escape in string.", start)
        self.at = match.end()
        return int(match.group(), 16)

    def digits(self) -> bool:
        match = _DIGITS.match(self.text, self.at)
        if match is None:
            return False
        self.at = match.end()
        return True

    def number(self) -> int | float:
        start = self.at
        minus = self.take(0x2D)
        head = self.peek()
        if head in b"NI":
            return self.token(minus)
        if head == 0x30:
            self.at += 1
        elif not self.digits():
            raise ParseError(INVALID_VALUE, self.at)
        whole = True
        if self.take(0x2E):
            whole = False
            if not self.digits():
                raise ParseError("Miss fraction part in number.", self.at)
        if self.peek() in b"eE":
            whole = False
            self.at += 1
            if self.peek() in b"+-":
                self.at += 1
            if not self.digits():
                raise ParseError("Miss exponent in number.", self.at)
        text = self.text[start : self.at]
        if whole and len(text) < 24:
            return int(text)
        number = float(text)
        if math.isinf(number):
            raise ParseError(TOO_BIG, start)
        return number

    def token(self, minus: bool) -> float:
        if self.take(0x4E):
            if self.take(0x61) and self.take(0x4E):
                return math.nan
        elif self.take(0x49) and self.take(0x6E) and self.take(0x66):
            if self.peek() == 0x69:
                for byte in b"inity":
                    if not self.take(byte):
                        raise ParseError(INVALID_VALUE, self.at)
            return -math.inf if minus else math.inf
        raise ParseError(INVALID_VALUE, self.at)
