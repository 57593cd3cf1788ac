"""What Go's ``encoding/json`` says of text that is not JSON, and JSON whose parts keep their spelling.

Source: Go's encoding/json/scanner.go: one state for each place in a value, the error names the place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tiphys.lazy import regex

__all__ = ["RawText", "compact", "elements", "members", "squeezed", "syntax_error", "unquoted"]

_BLANK = " \t\r\n"
_NUMBER = regex(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_HALF = regex("[\ud800-\udfff]")
_STRING = regex(r'"(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|[^"\\\x00-\x1f])*"')
_QUOTED = {"'": "\\'", '"': '"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\"}


class _Wrong(Exception):
    pass


class _Scanner:
    """Reads one value; the text ends with a blank, as Go feeds one to its scanner at the end of the input."""

    def __init__(self, text: str) -> None:
        self.size = len(text)
        self.text = text + " "
        self.at = 0

    def fail(self, where: str) -> _Wrong:
        if self.at > self.size or (self.at == self.size and not where.startswith(("in ", "after decimal"))):
            return _Wrong("unexpected end of JSON input")
        letter = self.text[self.at]
        shown = _QUOTED.get(letter, letter if letter.isprintable() else f"\\x{ord(letter):02x}")
        return _Wrong(f"invalid character '{shown}' {where}")

    def blank(self) -> str:
        while self.at < self.size and self.text[self.at] in _BLANK:
            self.at += 1
        return self.text[self.at] if self.at < self.size else ""

    def value(self) -> None:
        letter = self.blank()
        if letter == "{":
            self.object()
        elif letter == "[":
            self.array()
        elif letter == '"':
            self.string()
        elif letter and letter in "-0123456789":
            self.number()
        elif letter and letter in "tfn":
            self.literal({"t": "true", "f": "false", "n": "null"}[letter])
        else:
            raise self.fail("looking for beginning of value")

    def object(self) -> None:
        self.at += 1
        if self.blank() == "}":
            self.at += 1
            return
        while True:
            if self.blank() != '"':
                raise self.fail("looking for beginning of object key string")
            self.string()
            if self.blank() != ":":
                raise self.fail("after object key")
            self.at += 1
            self.value()
            letter = self.blank()
            if letter not in (",", "}"):
                raise self.fail("after object key:value pair")
            self.at += 1
            if letter == "}":
                return

    def array(self) -> None:
        self.at += 1
        if self.blank() == "]":
            self.at += 1
            return
        while True:
            self.value()
            letter = self.blank()
            if letter not in (",", "]"):
                raise self.fail("after array element")
            self.at += 1
            if letter == "]":
                return

    def string(self) -> None:
        found = _STRING.match(self.text, self.at)
        if found and found.end() <= self.size:
            self.at = found.end()
            return
        self.at += 1
        while self.at < self.size:
            letter = self.text[self.at]
            if letter < " ":
                raise self.fail("in string literal")
            self.at += 1
            if letter != "\\":
                continue
            escape = self.text[self.at]
            if escape not in 'bfnrt\\/"u':
                raise self.fail("in string escape code")
            self.at += 1
            if escape == "u":
                for _ in range(4):
                    if self.text[self.at] not in "0123456789abcdefABCDEF":
                        raise self.fail("in \\u hexadecimal character escape")
                    self.at += 1
        self.at = self.size
        raise _Wrong("unexpected end of JSON input")

    def number(self) -> None:
        found = _NUMBER.match(self.text, self.at)
        if found is None:
            self.at += 1
            raise self.fail("in numeric literal")
        self.at = found.end()
        letter = self.text[self.at]
        if letter == "." and "." not in found.group() and "e" not in found.group().lower():
            self.at += 1
            raise self.fail("after decimal point in numeric literal")
        if letter in "eE" and "e" not in found.group().lower():
            self.at += 1
            if self.text[self.at] in "+-":
                self.at += 1
            raise self.fail("in exponent of numeric literal")

    def literal(self, word: str) -> None:
        for letter in word[1:]:
            self.at += 1
            if self.text[self.at] != letter:
                raise self.fail(f"in literal {word} (expecting '{letter}')")
        self.at += 1


def syntax_error(text: str) -> str:
    """Return Go's words for what is wrong with ``text`` as JSON, or an empty string."""
    scanner = _Scanner(text)
    try:
        scanner.value()
        if scanner.blank():
            raise scanner.fail("after top-level value")
    except _Wrong as wrong:
        return str(wrong)
    except RecursionError:  # Go's decoder takes ten thousand lists in lists, this one fewer
        return "exceeded max depth"
    return ""


def unquoted(text: str) -> str:
    """Return the text that a JSON string stands for; as Go reads it, half a character is the replacement character."""
    value: str = json.loads(text)
    return _HALF.sub("\ufffd", value)


class RawText(str):
    """The JSON text of a value, spelled as it was given (Go's ``json.RawMessage``)."""

    __slots__ = ()


def elements(text: str) -> Iterator[RawText]:
    """Return the elements of a valid JSON list, each as its text."""
    scanner = _Scanner(text)
    scanner.blank()
    scanner.at += 1
    while scanner.blank() not in ("]", ""):
        begin = scanner.at
        scanner.value()
        yield RawText(text[begin : scanner.at])
        if scanner.blank() == ",":
            scanner.at += 1


def members(text: str) -> Iterator[tuple[str, RawText]]:
    """Return the members of a valid JSON object: names and the texts of the values."""
    scanner = _Scanner(text)
    scanner.blank()
    scanner.at += 1
    while scanner.blank() not in ("}", ""):
        begin = scanner.at
        scanner.string()
        name = unquoted(text[begin : scanner.at])
        scanner.blank()
        scanner.at += 1
        scanner.blank()
        begin = scanner.at
        scanner.value()
        yield name, RawText(text[begin : scanner.at])
        if scanner.blank() == ",":
            scanner.at += 1


_PIECE = regex(r'"(?:\\.|[^"\\])*"|[^\s"]+')


def squeezed(text: str) -> str:
    """Return valid JSON without blanks, spelling and order kept."""
    return "".join(_PIECE.findall(text))


def compact(text: str) -> str:
    """Return valid JSON as Go marshals a ``json.RawMessage``: squeezed, and safe in HTML."""
    joined = squeezed(text)
    return joined.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
