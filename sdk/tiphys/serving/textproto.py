"""Protobuf's text format, as much of it as TensorFlow Serving's configuration files use.

A message becomes a dict of lists (every field may repeat): ``a { b: 1 } a { b: 2 }`` is
``{"a": [{"b": [1]}, {"b": [2]}]}``.
"""

from __future__ import annotations

import ast
import re
from typing import Any

__all__ = ["TextProtoError", "parse"]

Message = dict[str, list[Any]]

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))"""
    r"""|(?P<word>[A-Za-z_][\w.]*)|(?P<mark>[{}<>\[\]:;,])"""
)
_OPEN = {"{": "}", "<": ">"}


class TextProtoError(ValueError):
    """``line`` is where the text is not as it should be."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


def parse(text: str) -> Message:
    """Parse a message. Raises TextProtoError."""
    tokens: list[tuple[str, str, int]] = []
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise TextProtoError(f"unexpected {text[at]!r}", line)
        if match.lastgroup is not None:
            tokens.append((match.lastgroup, match.group(), line))
        line += match.group().count("\n")
        at = match.end()
    tokens.append(("end", "", line))
    message, rest = _message(tokens, 0, "", 0)
    assert rest == len(tokens) - 1
    return message


def _message(tokens: list[tuple[str, str, int]], at: int, close: str, depth: int) -> tuple[Message, int]:
    message: Message = {}
    if depth > 64:
        raise TextProtoError("nested too deeply", tokens[at][2])
    while True:
        kind, text, line = tokens[at]
        if text == close and kind in ("mark", "end"):
            return message, at + (kind == "mark")
        if kind != "word":
            raise TextProtoError(f"a field's name was expected, not {text or 'the end'!r}", line)
        at += 1
        colon = tokens[at][1] == ":"
        at += colon
        if tokens[at][1] == "[":
            at += 1
            while tokens[at][1] != "]":
                value, at = _value(tokens, at, True, depth)
                message.setdefault(text, []).append(value)
                at += tokens[at][1] == ","
            at += 1
        else:
            value, at = _value(tokens, at, colon, depth)
            message.setdefault(text, []).append(value)
        at += tokens[at][1] in (",", ";")


def _value(tokens: list[tuple[str, str, int]], at: int, colon: bool, depth: int) -> tuple[Any, int]:
    kind, text, line = tokens[at]
    if text in _OPEN and kind == "mark":
        return _message(tokens, at + 1, _OPEN[text], depth + 1)
    if not colon or kind in ("mark", "end"):
        raise TextProtoError(f"a value was expected, not {text or 'the end'!r}", line)
    if kind == "string":
        parts = []
        while tokens[at][0] == "string":
            parts.append(str(ast.literal_eval(tokens[at][1])))
            at += 1
        return "".join(parts), at
    if kind == "number":
        try:
            return int(text, 0), at + 1
        except ValueError:
            return float(text) if not text.isdigit() else int(text), at + 1
    return {"true": True, "false": False}.get(text, text), at + 1
