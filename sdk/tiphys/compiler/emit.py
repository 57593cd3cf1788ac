"""YAML text from plain data: readable, byte-identical every time, and read back as the same data by any YAML
reader.

The readers in question are PyYAML (YAML 1.1) and the two Go readers in front of Argo and Kubernetes
(sigs.k8s.io/yaml on go-yaml v2 and v3), which disagree on what ``y``, ``1e3``, ``0o14`` or ``12:30`` are. So
a string stays plain only when it starts with a letter and cannot be anything else; all other strings are
double-quoted in JSON's escapes, which YAML shares. Strings of several lines become literal blocks when that
loses nothing. Lines are never folded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from json import encoder

from tiphys.errors import DefinitionError
from tiphys.lazy import regex

__all__ = ["emit", "emit_all"]

_quote: Callable[[str], str] = encoder.encode_basestring  # C, when available
# Letters first; inside, nothing that could start a comment, a mapping value or a flow collection. `:` must be
# followed by something; blanks only between words.
_PLAIN = regex(
    r"[A-Za-z_/](?:[A-Za-z0-9_./=+()~-]|:(?=[A-Za-z0-9_./=+(-])|(?:,? |,)(?=[A-Za-z0-9_./=+(-]))*\Z"
)
# Full of quotes or backslashes, such as JSON on one line: readable in single quotes, which have no escapes
_SINGLE = regex(r"[ -&(-~]*\Z")
_WORDS = frozenset(
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity", "none"]
)
# What JSON leaves bare and YAML does not take bare in double quotes, or would take for a line break
_HOSTILE = regex(
    "[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff0-\uffff]"
)
_CONTROL = regex("[\x00-\x08\x0b-\x1f]")
_BLANK_LINE = regex(r"(?m)^[ \t]+$|^\t")
# What Argo and Kubernetes type as string, where Python may hold a number (AnyString and map[string]string)
_TEXT_VALUES = frozenset(
    ["value", "default", "when", "depends", "name", "template", "withParam", "maxAge", "key"]
)
_TEXT_MAPS = frozenset(["labels", "annotations", "nodeSelector", "matchLabels", "selector"])
_TEXT_LISTS = frozenset(["enum", "args", "command", "flags", "values"])
_FREE = frozenset(["withItems", "manifest"])


def emit(value: object, *, typed: bool = False) -> str:
    """One YAML document. With ``typed`` what Argo types as a string is written as one, also when it is a
    number.

    Raises DefinitionError (TIP119) for what YAML cannot carry: NaN and infinity, lone surrogates, other
    types.
    """
    lines: list[str] = []
    if isinstance(value, Mapping) and value:
        _mapping(value, "", lines, typed, "")
    elif isinstance(value, (list, tuple)) and value:
        _sequence(value, "", lines, typed, False)
    else:
        lines.append(_inline(value, typed=False, indent="  "))
    return "\n".join(lines) + "\n"


def emit_all(documents: Iterable[object], *, typed: bool = False) -> str:
    """Several documents, separated by ``---``."""
    return "---\n".join(emit(document, typed=typed) for document in documents)


_plain_cache: dict[str, str] = {}


def _string(text: str) -> str:
    """A string on one line."""
    found = _plain_cache.get(text)
    if found is not None:
        return found
    if _PLAIN.match(text) and text.lower() not in _WORDS:
        result = text
    else:
        result = _quote(text)
        if not text.isascii() or "\x7f" in text:
            result = _HOSTILE.sub(_escape, result)
        if "\\" in result and _SINGLE.match(text):
            result = f"'{text}'"
    if len(text) < 64 and len(_plain_cache) < 20000:
        _plain_cache[text] = result
    return result


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xD800 <= code <= 0xDFFF:
        raise DefinitionError(
            "TIP119",
            "a string has a lone surrogate, which no YAML or JSON reader accepts",
            cause=f"the character is U+{code:04X}",
            fix="decode the bytes properly, or remove the character",
        )
    return f"\\u{code:04x}"


def _scalar(value: object, typed: bool) -> str:
    """Anything that is not a string, a mapping or a list."""
    if value is True or value is False:
        text = "true" if value else "false"
    elif value is None:
        return "null"
    elif isinstance(value, int):
        text = str(int(value))
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise DefinitionError(
                "TIP119",
                f"{value} cannot be written",
                cause="JSON has no such number",
                fix="use a finite number",
            )
        text = _float(value, typed)
    elif isinstance(value, str):
        return _string(str(value))
    else:
        raise DefinitionError(
            "TIP119",
            f"a {type(value).__name__} cannot be written as YAML: {str(value)[:60]!r}",
            cause="Argo's objects are made of strings, numbers, booleans, lists and mappings",
            fix="convert it first, for example with str()",
        )
    return f'"{text}"' if typed else text


def _float(value: float, typed: bool) -> str:
    if typed:
        # as Argo's AnyString: no exponent, no trailing ".0"
        return format(int(value), "d") if value == int(value) else _fixed(value)
    text = repr(value)
    if "e" in text:
        mantissa, exponent = text.split("e")
        mantissa += "" if "." in mantissa else ".0"
        return f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"
    return text


def _fixed(value: float) -> str:
    from decimal import Decimal

    return format(Decimal(repr(value)), "f")


def _inline(value: object, *, typed: bool, indent: str) -> str:
    """A value after ``key: `` or ``- ``; the lines of a block carry ``indent``."""
    if type(value) is str:
        if "\n" in value:
            return _block(value, indent)
        return _string(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    if isinstance(value, str) and "\n" in value:
        return _block(str(value), indent)
    return _scalar(value, typed)


def _block(text: str, indent: str) -> str:
    """A literal block when it is lossless for every reader, else a quoted line."""
    if text[0] in " \n\t" or _CONTROL.search(text) or _HOSTILE.search(text) or _BLANK_LINE.search(text):
        return _string(text)
    body = text.rstrip("\n")
    ending = len(text) - len(body)
    if not body:
        return _string(text)
    lines = body.split("\n")
    header = ("|-", "|")[ending] if ending < 2 else "|+"
    padded = [f"{indent}{line}" if line else "" for line in lines]
    return "\n".join([header, *padded, *[""] * (ending - 1)])


def _mapping(
    mapping: Mapping[str, object],
    indent: str,
    lines: list[str],
    typed: bool,
    first: str,
    all_text: bool = False,
) -> None:
    """The lines of a mapping; ``first`` is what precedes its first key (``- `` inside a list)."""
    deeper = indent + "  "
    prefix = first or indent
    for key, value in mapping.items():
        name = _plain_cache.get(key) or _key(key, indent)
        if type(value) is str:
            if "\n" in value:
                lines.append(f"{prefix}{name}: {_block(value, deeper)}")
            else:
                lines.append(f"{prefix}{name}: {_plain_cache.get(value) or _string(value)}")
        elif type(value) is dict or isinstance(value, Mapping):
            if value:
                lines.append(f"{prefix}{name}:")
                text = typed and (key in _TEXT_MAPS or (key == "data" and "apiVersion" in mapping))
                _mapping(value, deeper, lines, typed and key not in _FREE, "", text)
            else:
                lines.append(f"{prefix}{name}: {{}}")
        elif type(value) is list or isinstance(value, (list, tuple)):
            if value:
                lines.append(f"{prefix}{name}:")
                _sequence(value, indent, lines, typed and key not in _FREE, typed and key in _TEXT_LISTS)
            else:
                lines.append(f"{prefix}{name}: []")
        else:
            text = typed and (all_text or key in _TEXT_VALUES)
            lines.append(f"{prefix}{name}: {_inline(value, typed=text, indent=deeper)}")
        prefix = indent


def _key(key: object, indent: str) -> str:
    """A key; YAML allows a simple one only 1024 characters, a longer one needs a line of its own."""
    if not isinstance(key, str):
        return _scalar(key, False)
    text = _string(key)
    return text if len(text) < 1000 else f"? {text}\n{indent}"


def _sequence(items: Iterable[object], indent: str, lines: list[str], typed: bool, all_text: bool) -> None:
    """The lines of a list; its dashes stand at ``indent``."""
    deeper = indent + "  "
    dash = indent + "- "
    for item in items:
        if item and (type(item) is dict or isinstance(item, Mapping)):
            _mapping(item, deeper, lines, typed, dash)
        elif isinstance(item, (list, tuple)) and item:
            lines.append(f"{indent}-")
            _sequence(item, deeper, lines, typed, False)
        else:
            lines.append(dash + _inline(item, typed=all_text, indent=deeper))
