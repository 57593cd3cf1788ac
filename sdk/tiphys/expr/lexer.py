"""Tokens of expr-lang."""

from __future__ import annotations

import re
from typing import NamedTuple

from tiphys.lazy import regex

__all__ = ["WORD_OPERATORS", "ExprError", "Token", "tokenize"]


class ExprError(Exception):
    """An expression cannot be parsed or evaluated; the text is close to expr-lang's own."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position

    def located(self, source: str) -> ExprError:
        """Return the error with the place in ``source`` drawn below it, as expr-lang does where there is a source."""
        if self.position is None or not source:
            return self
        start = source.rfind("\n", 0, self.position) + 1
        end = source.find("\n", self.position)
        line = source[start:] if end < 0 else source[start:end]
        row, column = source.count("\n", 0, start) + 1, self.position - start
        return ExprError(f"{self} ({row}:{column + 1})\n | {line}\n | {'.' * column}^")


WORD_OPERATORS = frozenset(
    ["and", "or", "in", "not", "let", "matches", "contains", "startsWith", "endsWith", "if", "else"]
)


class Token(NamedTuple):
    """``kind``: name, number, string, op or end."""

    kind: str
    value: object
    position: int

    def __str__(self) -> str:
        """Return the token as expr-lang's errors show it."""
        if self.kind == "end":
            return "EOF"
        if self.kind == "op":
            word = "Bracket" if str(self.value) in "()[]{}" else "Operator"
        elif self.kind == "name":
            word = "Identifier"
        else:
            word = self.kind.capitalize()
        return f'{word}("{self.value}")'


_TOKEN = regex(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
      |(?P<number>0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+
          |(?:\d[\d_]*)?\.\d[\d_]*(?:[eE][-+]?\d+)?|\d[\d_]*[eE][-+]?\d+|\d[\d_]*(?:\.(?!\.)(?![A-Za-z_]))?)
      |(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
      |(?P<name>[A-Za-z_$][\w$]*)
      |(?P<op>\?\.|\?\?|\.\.|\*\*|&&|\|\||==|!=|<=|>=|::|[-+*/%^<>!?:;,.|()\[\]{}\#=])""",
    re.X | re.S,
)
_ESCAPES = {
    "n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "/": "/",
}  # fmt: skip
_ESCAPE = regex(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|u\{[0-9a-fA-F]+\}|[0-7]{3}|.)", re.S)


def _unescape(match: re.Match[str]) -> str:
    body = match.group(1)
    if body[0] in "xuU" and len(body) > 1:
        return chr(int(body[1:].strip("{}"), 16))
    if len(body) == 3:
        return chr(int(body, 8))
    if body not in _ESCAPES:
        raise ExprError("invalid char escape", match.start() + 2)
    return _ESCAPES[body]


def _text(literal: str, position: int) -> str:
    if literal[0] == "`":
        return literal[1:-1]
    try:
        return _ESCAPE.sub(_unescape, literal[1:-1])
    except ExprError as error:
        raise ExprError(str(error), position + (error.position or 0)) from None


_LONGEST = 1000  # digits: far beyond what 64 bits hold, and below what Python reads


def _number(text: str) -> int | float:
    plain = text.replace("_", "")
    based = plain[:2].lower() in ("0x", "0o", "0b")
    if not based and ("." in plain or "e" in plain.lower()):
        return float(plain)
    if len(plain) > _LONGEST:
        raise ExprError("invalid integer literal: value out of range")
    if not based:
        return int(plain)
    try:
        return int(plain, 0)
    except ValueError:
        raise ExprError(f"bad number syntax: {text!r}") from None


def tokenize(source: str) -> list[Token]:
    """Return the tokens of ``source``, an ``end`` token last.

    Raises
    ------
    ExprError
        A character or literal that expr-lang does not know.
    """
    tokens: list[Token] = []
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            if source[position] in "'\"`":
                raise ExprError("literal not terminated", len(source))
            raise ExprError(
                f"unrecognized character: U+{ord(source[position]):04X} {source[position]!r}", position
            )
        kind = match.lastgroup or ""
        text = match.group()
        if kind == "number":
            tokens.append(Token("number", _number(text), position))
        elif kind == "string":
            tokens.append(Token("string", _text(text, position), position))
        elif kind == "name" and text in WORD_OPERATORS:
            tokens.append(Token("op", text, position))
        elif kind in ("name", "op"):
            tokens.append(Token(kind, text, position))
        position = match.end()
    tokens.append(Token("end", "", max(len(source) - 1, 0)))  # expr-lang points at the last character
    return tokens
