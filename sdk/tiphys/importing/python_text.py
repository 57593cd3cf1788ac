"""Pieces of Python: names that are free, values, calls that are broken over lines where they are long."""

from __future__ import annotations

import builtins
import json
import keyword
import re
from collections.abc import Iterable, Mapping

from tiphys.jsontypes import Json

__all__ = ["PythonNames", "call", "imports_of", "keywords", "lines_of", "task_lines", "text_block", "value"]

_WIDTH = 110
_STANDARD = {"Path": "pathlib", "SimpleNamespace": "types", "mkdtemp": "tempfile"}
_ELSEWHERE = {"ContainerStep": "tiphys.dsl.container"}
"""PythonNames that tiphys has below its front door."""


class PythonNames:
    """PythonNames of one scope of Python: each is given once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {*taken, *keyword.kwlist, *dir(builtins)}

    def take(self, wish: str) -> str:
        """The nearest free identifier."""
        base = re.sub(r"\W+", "_", wish, flags=re.ASCII).strip("_").lower() or "step"
        if base[0].isdigit():
            base = f"step_{base}"
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._taken.add(name)
        return name

    def inner(self) -> PythonNames:
        """The names of a scope inside."""
        return PythonNames(self._taken)


def value(item: Json, indent: str = "") -> str:
    """A JSON value as Python, with double quotes, on several lines where one is too long."""
    flat = _flat(item)
    if len(flat) + len(indent) <= _WIDTH or not isinstance(item, (dict, list)) or not item:
        return flat
    deeper = indent + "    "
    if isinstance(item, dict):
        rows = [f"{deeper}{_quoted(key)}: {value(each, deeper)}," for key, each in item.items()]
        return "\n".join(["{", *rows, indent + "}"])
    return "\n".join(["[", *(f"{deeper}{value(each, deeper)}," for each in item), indent + "]"])


def _flat(item: Json) -> str:
    if isinstance(item, str):
        return _quoted(item)
    if isinstance(item, dict):
        return "{" + ", ".join(f"{_quoted(key)}: {_flat(each)}" for key, each in item.items()) + "}"
    if isinstance(item, list):
        return "[" + ", ".join(_flat(each) for each in item) + "]"
    return repr(item)


def _quoted(text: str) -> str:
    """A string as a formatter leaves it: in double quotes, unless that takes more backslashes."""
    if '"' in text and "'" not in text:
        return repr(text)
    return json.dumps(text, ensure_ascii=not text.isprintable() and not text.isascii()).replace(
        "\x7f", "\\x7f"
    )


def text_block(text: str) -> str:
    """A text of several lines in triple quotes, as it stands; with escapes where it cannot stand so."""
    plain = text.isascii() or text.replace("\n", "").isprintable()
    safe = plain and "\r" not in text and '"""' not in text and not text.endswith(('"', "\\"))
    if not safe or any(ord(sign) < 32 and sign not in "\n\t" for sign in text):
        return _quoted(text)
    return ("r" if "\\" in text else "") + '"""' + text + '"""'


def keywords(arguments: Mapping[str, str]) -> list[str]:
    """Arguments of a call by name; those whose names Python has for itself in a mapping."""
    plain = [f"{key}={text}" for key, text in arguments.items() if _free(key)]
    other = [f"{_quoted(key)}: {text}" for key, text in arguments.items() if not _free(key)]
    return [*plain, *(["**{" + ", ".join(other) + "}"] if other else [])]


def _free(key: str) -> bool:
    return key.isidentifier() and not keyword.iskeyword(key)


def call(function: str, parts: Iterable[str], indent: str = "", before: str = "", after: str = "") -> str:
    """``before function(parts)after``, each part on a line of its own where one line is too long."""
    given = list(parts)
    flat = f"{indent}{before}{function}({', '.join(given)}){after}"
    if (len(flat) <= _WIDTH and "\n" not in flat) or not given:
        return flat
    rows = [f"{indent}    {part}," for part in given]
    return "\n".join([f"{indent}{before}{function}(", *rows, f"{indent}){after}"])


def task_lines(
    function: str, parts: list[str], methods: list[str], variable: str, *, used: bool
) -> list[str]:
    """The call that makes a task, and its methods: on one line where that is not too long, else each on its own."""
    flat = call(function, parts, "    ", f"{variable} = " if used else "", "".join(methods))
    if not methods or ("\n" not in flat and len(flat) <= _WIDTH):
        return [flat]
    return [call(function, parts, "    ", f"{variable} = "), *(f"    {variable}{each}" for each in methods)]


def record(name: str, fields: Mapping[str, str]) -> str:
    """A class of several outputs: their types by their names."""
    return "\n".join([f"class {name}(NamedTuple):", *(f"    {key}: {kind}" for key, kind in fields.items())])


def imports_of(words: Iterable[str], typing: Iterable[str] = ()) -> str:
    """The imports of a module: names of ``typing`` and of other modules of Python's, then those of tiphys."""
    names = sorted({*words} - _ELSEWHERE.keys(), key=lambda word: (word[0].islower(), word))
    others = {*typing} & _STANDARD.keys()
    heads = [f"from {_STANDARD[each]} import {each}" for each in sorted(others)]
    if plain := sorted({*typing} - others):
        heads.append(f"from typing import {', '.join(plain)}")
    heads.sort()
    line = f"from tiphys import {', '.join(names)}"
    if len(line) > _WIDTH:
        line = "\n".join(["from tiphys import (", *(f"    {each}," for each in names), ")"])
    inner = sorted(f"from {_ELSEWHERE[word]} import {word}" for word in {*words} & _ELSEWHERE.keys())
    return "\n".join([*heads, *([""] if heads else []), line, *inner])


def lines_of(head: str, blocks: Iterable[str]) -> str:
    """A module: its head, and blocks with two empty lines between them; one below imports where no function follows."""
    text = head.strip("\n") + "\n"
    for number, block in enumerate(each.strip("\n") for each in blocks if each.strip()):
        close = number == 0 and not block.startswith(("@", "def ", "class "))
        text += ("\n" if close else "\n\n") + block + "\n"
    return text
