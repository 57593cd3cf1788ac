"""Python values as text for Argo, and as literals of its expression language (expr-lang)."""

from __future__ import annotations

import re

__all__ = ["Raw", "access", "literal"]

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "{": "\\u007b", "}": "\\u007d"}
_ESCAPED = re.compile(r"[\\'\n\r\t{}\x00-\x1f\x7f]")


class Raw(str):
    """Text that Argo is meant to substitute; see :func:`tiphys.raw`."""

    __slots__ = ()


def literal(value: object) -> str:
    """``value`` as an expr-lang literal. Braces are escaped, so that no literal can end the tag around it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return "'" + _ESCAPED.sub(lambda m: _ESCAPES.get(m[0]) or f"\\u{ord(m[0]):04x}", str(value)) + "'"


def access(parts: tuple[str, ...]) -> str:
    """``("tasks", "a-b", "x")`` as ``tasks['a-b'].x``."""
    text = parts[0]
    for part in parts[1:]:
        text += f".{part}" if _WORD.match(part) else f"[{literal(part)}]"
    return text


def expression_of_text(text: str, *, keep: str = "") -> str:
    """Text that may hold Argo tags as an expression; tags that begin with ``keep`` stay as they are written."""
    parts: list[str] = []
    position = 0
    for match in re.finditer(r"\{\{(=?)(.*?)\}\}", text):
        if keep and match[2].lstrip().startswith(keep):
            continue
        if match.start() > position:
            parts.append(literal(text[position : match.start()]))
        if match[1]:
            parts.append(f"({match[2]})")
        else:
            parts.append(access(tuple(match[2].strip().split("."))))
        position = match.end()
    if position < len(text) or not parts:
        parts.append(literal(text[position:]))
    return " + ".join(parts)
