"""RapidJSON's grammar, numbers, error texts and offsets.

TensorFlow Serving 2.19.1 parses with RapidJSON 1.1.0 (iteratively, NaN and Inf allowed, until the document is done)
and tells the client what that says. Python's parser is used for what is right; a text that it refuses is read again
here, which either accepts it (``Inf``, ``-NaN`` and any depth are RapidJSON's, not Python's) or says what RapidJSON
would have said, and where.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["ParseError", "TooBigError", "first_too_big", "may_be_too_big", "number", "parse"]


class ParseError(Exception):
    """``message`` is RapidJSON's English text, ``offset`` counts bytes."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class TooBigError(Exception):
    """A number that RapidJSON does not store in a double."""


EMPTY = "The document is empty."
INVALID_VALUE = "Invalid value."
TOO_BIG = "Number too big to be stored in double."
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_SPACE = re.compile(rb"[ \t\r\n]*")
_ESCAPES = {ord(letter): meant for letter, meant in zip('"\\/bfnrt', '"\\/\b\f\n\r\t', strict=True)}
_HEX = re.compile(rb"[0-9a-fA-F]{0,4}")
_WORDS = {word[0]: (word, meant) for word, meant in ((b"null", None), (b"true", True), (b"false", False))}
_NUMBER = re.compile(rb"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_STRING_OR_NUMBER = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][-+.0-9eE]*', re.DOTALL)


def parse(text: bytes) -> Json:
    """Parse a document; what follows it is not looked at. Raises ParseError.

    Objects keep the first of equal names (RapidJSON's lookup finds that one). Bytes that are not UTF-8 become
    surrogate escapes.
    """
    reader = _Reader(text, 3 if text.startswith(b"\xef\xbb\xbf") else 0)
    reader.space()
    if reader.peek() in b"\0]},:":
        raise ParseError(EMPTY, reader.at)
    return reader.document()


# ---- numbers
_DBL_MAX_TENTH = 1.7976931348623157e307
_EXACT = 2**53 - 1
_WHOLE_DIGITS = 308  # no whole number of so many digits is refused
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_EXPONENTS = (re.compile(rb"e\+?[0-9]{3}"), re.compile(rb"E\+?[0-9]{3}"))
_STRIDE = 5
_LONG_RUN = b"0" * (_WHOLE_DIGITS + 1)
_SAMPLED_RUN = b"0" * (len(_LONG_RUN) // _STRIDE)


def may_be_too_big(text: bytes) -> bool:
    """Whether a number in the text could be: one with an exponent of three digits, or with more than 308 digits.

    Fast: most bodies are asked only this. A run of digits shows in every fifth byte, too.
    """
    if any(exponent.search(text) for exponent in _EXPONENTS):
        return True
    return _SAMPLED_RUN in text[::_STRIDE].translate(_ZEROS) and _LONG_RUN in text.translate(_ZEROS)


def number(token: str | bytes) -> int | float:
    """The value of a number. Raises TooBigError for what RapidJSON refuses, which is decided by its own arithmetic:
    ``0e309`` is too big, and ``2e308`` is infinity.
    """
    match = _NUMBER.fullmatch(token.encode() if isinstance(token, str) else token)
    assert match is not None
    minus, whole, fraction, exponent = match.groups()
    long = len(whole) > _WHOLE_DIGITS and _long_whole(whole, 2**63 if minus else 2**64 - 1)
    if exponent is not None and exponent[0] != 0x2D:
        power = exponent.lstrip(b"+0") or b"0"
        if len(power) > 9 or int(power) > 308 + _fraction_digits(whole, fraction or b"", minus):
            raise TooBigError
    if fraction is not None or exponent is not None:
        return float(token)
    if long:
        return -long if minus else long
    return int(token)


def _long_whole(digits: bytes, largest: int) -> float:
    """A whole number as RapidJSON adds it up: as an integer as long as it fits into 64 bits, then as a double."""
    taken = 20
    while int(digits[:taken]) > largest:
        taken -= 1
    value = float(int(digits[:taken]))
    for digit in digits[taken:]:
        if value >= _DBL_MAX_TENTH:
            raise TooBigError
        value = value * 10 + (digit - 0x30)
    return value


def _fraction_digits(whole: bytes, fraction: bytes, minus: bytes) -> int:
    """How many digits of a fraction become part of the significand. Each allows one more in the exponent."""
    if len(whole) > 20:
        return 0
    value, significant = int(whole), len(whole) - 1
    if value > (2**63 if minus else 2**64 - 1):
        return 0
    for count, digit in enumerate(fraction):
        if value > _EXACT and significant >= 17:
            return count
        value = value * 10 + (digit - 0x30)
        significant += value > 0
    return len(fraction)


def first_too_big(text: bytes) -> int:
    """Where the first number stands that is too big, in a text that is right so far."""
    for match in _STRING_OR_NUMBER.finditer(text):
        found = _NUMBER.match(match.group())  # of a text none; behind a number anything may be
        if found is not None:
            try:
                number(found.group())
            except TooBigError:
                return match.start()
    raise AssertionError("no number is too big")


# ---- the grammar
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

    def document(self) -> Json:
        """A value of any depth: what is open lies on a stack, an object with the name whose value is being read."""
        stack: list[tuple[list[Json] | JsonObject, str]] = []
        while True:
            head = self.peek()
            value: Json
            if head == 0x5B:
                self.at += 1
                self.space()
                value = []
                if not self.take(0x5D):
                    stack.append((value, ""))
                    continue
            elif head == 0x7B:
                self.at += 1
                self.space()
                value = {}
                if not self.take(0x7D):
                    stack.append((value, self.name()))
                    continue
            else:
                value = self.scalar(head)
            if self.closed(stack, value):
                return stack[0][0] if stack else value

    def closed(self, stack: list[tuple[list[Json] | JsonObject, str]], value: Json) -> bool:
        """Put a value where it belongs, and close what ends behind it. Whether that was the document."""
        while stack:
            outer, name = stack[-1]
            self.space()
            if isinstance(outer, list):
                outer.append(value)
                if self.take(0x2C):
                    self.space()
                    return False
                if not self.take(0x5D):
                    raise ParseError("Missing a comma or ] after an array element.", self.at)
            else:
                outer.setdefault(name, value)
                if self.take(0x2C):
                    self.space()
                    stack[-1] = outer, self.name()
                    return False
                if not self.take(0x7D):
                    raise ParseError("Missing a comma or } after an object member.", self.at)
            if len(stack) == 1:
                return True
            value = stack.pop()[0]
        return True

    def name(self) -> str:
        """A member's name and the colon behind it."""
        if self.peek() != 0x22:
            raise ParseError("Missing a name for object member.", self.at)
        name = self.string()
        self.space()
        if not self.take(0x3A):
            raise ParseError("Missing a colon after a name of object member.", self.at)
        self.space()
        return name

    def scalar(self, head: int) -> Json:
        if head == 0x22:
            return self.string()
        if head not in _WORDS:
            return self.number()
        word, meant = _WORDS[head]
        for byte in word:
            if not self.take(byte):
                raise ParseError(INVALID_VALUE, self.at)
        return meant

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
        if 0xD800 <= code <= 0xDBFF:
            if not (self.take(0x5C) and self.take(0x75)):
                raise ParseError("The surrogate pair in string is invalid.", start)
            low = self.hex4(start)
            if not 0xDC00 <= low <= 0xDFFF:
                raise ParseError("The surrogate pair in string is invalid.", start)
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        # the second half of a pair by itself is taken: three bytes that are not UTF-8
        return chr(code).encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")

    def hex4(self, start: int) -> int:
        match = _HEX.match(self.text, self.at)
        assert match is not None
        if len(match.group()) < 4:
            raise ParseError("Incorrect hex digit after \\u escape in string.", start)
        self.at = match.end()
        return int(match.group(), 16)

    def number(self) -> int | float:
        start = self.at
        match = _NUMBER.match(self.text, start)
        if match is None:
            minus = self.take(0x2D)
            if self.peek() in b"NI":
                return self.token(minus)
            raise ParseError(INVALID_VALUE, self.at)
        self.at = match.end()
        try:
            value = number(match.group())
        except TooBigError:
            raise ParseError(TOO_BIG, start) from None
        if match[4] is None and self.peek() in b".eE":
            self.unfinished(fraction=match[3] is not None)
        return value

    def unfinished(self, *, fraction: bool) -> None:
        """A point without a fraction, or an exponent without a digit."""
        if not fraction and self.take(0x2E):
            raise ParseError("Miss fraction part in number.", self.at)
        if self.peek() not in b"eE":
            return
        self.at += 1
        if self.peek() in b"+-":
            self.at += 1
        raise ParseError("Miss exponent in number.", self.at)

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
