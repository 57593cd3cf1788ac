"""sprig's functions that cut, wrap and re-case texts. Some count bytes, some runes: what Go does was recorded."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from tiphys.expr.gotext import (
    cut,
    from_bytes,
    is_space,
    is_upper,
    lower,
    size,
    title_rune,
    to_bytes,
    upper,
)
from tiphys.expr.lexer import ExprError

Value = Any

__all__ = ["TEXT"]


def _trunc(count: int, text: str) -> str:
    length = size(text)
    if count < 0:
        return cut(text, length + count, length) if length + count > 0 else text
    return cut(text, 0, count) if length > count else text


def _substr(start: int, end: int, text: str) -> str:
    length = size(text)
    if start < 0:
        if not 0 <= end <= length:
            raise _out_of_range(f"[:{end}]" + (f" with length {length}" if end >= 0 else ""))
        return cut(text, 0, end)
    if end < 0 or end > length:
        end = length
    if start > end:
        raise _out_of_range(f"[{start}:{end}]")
    return cut(text, start, end)


def _out_of_range(what: str) -> ExprError:
    return ExprError(f"runtime error: slice bounds out of range {what}")


def _abbrev(width: int, text: str) -> str:
    return text if width < 4 else from_bytes(_shortened(to_bytes(text), 0, width))


def _abbrevboth(left: int, right: int, text: str) -> str:
    if right < 4 or (left > 0 and right < 7):
        return text
    return from_bytes(_shortened(to_bytes(text), left, right))


def _shortened(data: bytes, offset: int, width: int) -> bytes:
    """At most ``width`` bytes, dots included, that show what is at ``offset``; nothing where dots leave no room."""
    if not data or width < 4:
        return b""
    if len(data) <= width:
        return data
    room = width - 3
    offset = min(offset, len(data))
    if len(data) - offset < room:
        offset = len(data) - room
    if offset <= 4:
        return data[:room] + b"..."
    if width < 7:
        return b""
    if offset + room < len(data):
        return b"..." + _shortened(data[offset:], 0, room)
    return b"..." + data[len(data) - room :]


def _initials(text: str) -> str:
    """The first byte of each word, taken for a rune."""
    out: list[str] = []
    gap = True
    for byte in to_bytes(text).decode("latin-1"):
        if is_space(byte):
            gap = True
        elif gap:
            out.append(byte)
            gap = False
    return "".join(out)


def _nospace(text: str) -> str:
    """Bytes taken for runes, without those that would be spaces; a text without any is left alone."""
    runes = to_bytes(text).decode("latin-1")
    kept = "".join(rune for rune in runes if not is_space(rune))
    return text if len(kept) == len(runes) else kept


def _wrap(width: int, text: str, separator: str = "\n", *, cuts: bool = False) -> str:
    """Break lines at spaces after ``width`` bytes; ``cuts`` breaks longer words, too."""
    data, width, out, at = to_bytes(text), max(width, 1), [], 0
    while len(data) - at > width:
        if data[at : at + 1] == b" ":
            at += 1
            continue
        space = data.rfind(b" ", at, at + width + 1)
        if space < 0:
            space = at + width if cuts else data.find(b" ", at + width)
            if space < 0:
                break
            out.append(data[at:space])
            at = space if cuts else space + 1
        else:
            out.append(data[at:space])
            at = space + 1
    return from_bytes((to_bytes(separator) or b"\n").join((*out, data[at:])))


def _title(text: str) -> str:
    out: list[str] = []
    previous = " "
    for rune in text:
        out.append(title_rune(rune) if _separates(previous) else rune)
        previous = rune
    return "".join(out)


def _separates(rune: str) -> bool:
    if rune.isascii():
        return not (rune.isalnum() or rune == "_")
    return unicodedata.category(rune)[0] not in "L" and unicodedata.category(rune) != "Nd" and is_space(rune)


def _untitle(text: str) -> str:
    out: list[str] = []
    first = True
    for rune in text:
        if is_space(rune):
            first = True
            out.append(rune)
        else:
            out.append(lower(rune) if first else rune)
            first = False
    return "".join(out)


def _swapcase(text: str) -> str:
    out: list[str] = []
    space = True
    for rune in text:
        kind = unicodedata.category(rune)
        if kind in ("Lu", "Lt"):
            out.append(lower(rune))
            space = False
        elif kind == "Ll":
            out.append(title_rune(rune) if space else upper(rune))
            space = False
        else:
            out.append(rune)
            space = is_space(rune)
    return "".join(out)


def _connects(rune: str) -> bool:
    return rune in "-_" or is_space(rune)


def _camel(text: str) -> str:
    """``PascalCase``; connectors before the first word stay, and one of two in a row."""
    start = next((at for at, rune in enumerate(text) if not _connects(rune)), None)
    if start is None:
        return text + text[-1:]
    out = [text[:start]]
    shouts, last = is_upper(text[start]), upper(text[start])
    for rune in text[start + 1 :]:
        if _connects(last):
            if _connects(rune):
                out.append(last)
                last = rune
                continue
            shouts = is_upper(rune)
            rune = upper(rune)
        else:
            if shouts and is_upper(rune):
                rune = lower(rune)
            else:
                shouts = False
            out.append(last)
        last = rune
    return "".join((*out, last))


_CJK = ((0x3400, 0x4DBF), (0x4E00, 0x9FCC), (0x20000, 0x2A6D6), (0x2A700, 0x2B734), (0x2B740, 0x2B81D))


def _alphabetic(rune: str) -> bool:
    """A letter of an alphabet: no ideograph."""
    code = ord(rune)
    return unicodedata.category(rune)[0] == "L" and not any(low <= code <= high for low, high in _CJK)


def _kind(rune: str) -> str:
    if _connects(rune):
        return "-"
    kind = unicodedata.category(rune)
    if kind[0] == "P":
        return "."
    if kind == "Lu":
        return "A"
    if _alphabetic(rune):
        return "a"
    return "1" if kind[0] == "N" else "?"


def _parts(text: str) -> list[tuple[str, str]]:
    """The words of a text with their kinds: ``HTTPStatus 2xx`` is HTTP, Status, a connector, 2, xx."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        kind, end = _kind(text[at]), at + 1
        if kind == "A" and end < len(text) and _kind(text[end]) == "A":
            while end < len(text) and _kind(text[end]) == "A":
                end += 1
            if end < len(text) and _kind(text[end]) == "a":
                end -= 1
        else:
            more = "a" if kind == "A" else kind
            while end < len(text) and _kind(text[end]) == more:
                end += 1
        found.append((kind, text[at:end]))
        at = end
    return found


def _snake(text: str, connector: str = "_") -> str:
    """Words in lower case with a connector between; a number belongs to the word before it, or to those after it."""
    words = _parts(text)
    out: list[str] = []
    at = 0

    def kind() -> str:
        return words[at][0] if at < len(words) else ""

    def put(kind: str, word: str) -> None:
        if kind == "-":
            word = connector * len(word)
        elif kind == "A":
            word = "".join(lower(rune) if is_upper(rune) else rune for rune in word)
        out.append(word)

    def put_run() -> None:
        nonlocal at
        while kind() in ("a", "1"):
            put(*words[at])
            at += 1
        if kind() not in ("", ".", "-"):
            out.append(connector)

    while at < len(words) - 1:
        before = kind()
        put(*words[at])
        at += 1
        if before == "1":
            put_run()
        elif before in (".", "-") or kind() in (".", "-"):
            continue
        elif kind() != "1":
            out.append(connector)
        elif at < len(words) - 1:
            number = words[at]
            at += 1
            if kind() == "a":
                out.append(connector)
                put(*number)
                put_run()
            else:
                put(*number)
                if kind() not in (".", "-"):
                    out.append(connector)
    if at < len(words):
        put(*words[at])
    return "".join(out)


TEXT: dict[str, Callable[..., Value]] = {
    "trunc": _trunc, "substr": _substr, "abbrev": _abbrev, "abbrevboth": _abbrevboth, "initials": _initials,
    "nospace": _nospace, "wrap": _wrap, "wrapWith": lambda width, by, text: _wrap(width, text, by, cuts=True),
    "title": _title, "untitle": _untitle, "swapcase": _swapcase, "camelcase": _camel, "snakecase": _snake,
    "kebabcase": lambda text: _snake(text, "-"), "upper": upper, "lower": lower,
}  # fmt: skip
