"""Changing an input: characters and bytes, and what they mean to who reads them (brackets, numbers, keys, entries).

Every function takes the ``random.Random`` of its input, so that an input is made again from its number.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

__all__ = ["bytes_of", "text_of", "tree_of"]

_LONGEST = 20_000
_PAIRS = ("()", "[]", "{}", "''", '""', "``", "{{}}", "{{=}}", "<>")
_OPENINGS = (
    "(",
    "[",
    "{",
    "!",
    "-",
    "not ",
    "a.",
    "a[",
    "{{",
    "{{=",
    "a ? ",
    "a || ",
    "f(",
    "..",
    "$",
    "1,",
    "0",
)
_TOKENS = (
    *"()[]{}.,:;?!|&=<>+-*/%^~#@$'\"`\\ \n\t\r\0", "&&", "||", "==", "=~", "!~", "..", "...", "**", "??", "?.", "{{",
    "}}", "{{=", "nil", "true", "in", "not", "matches", "let", "é", "\ufeff", "\U0001f600", "\ud800", "\udfff",
    "@every ", "\u202e", "\u2028", "\x85", "$env", "#acc", "now()", "sprig.", "..1000000", "\\u0000", "\\ud800", "\\x",
    "%s", "%",
    "<<: ", "- ", "---\n", "&a ", "*a", "!!int ", "!!binary ", "? ", "|\n ", ">-\n ", "null", "~", "1h", "Ki",
)  # fmt: skip
_NUMBERS = (
    "0", "-0", "-1", "1", "1e999", "1e-999", "1e999999999", "0x", "0x1F", "0b2", "0o9", "1_0", ".", "1.", ".5", "NaN",
    "Inf", "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "4294967296",
    "99999999999999999999", "9" * 400, "9" * 5000, "٣", "1e1e1", "1.7976931348623157e308", "-9999999999", "00000001",
)  # fmt: skip
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def text_of(seeds: Sequence[str], chance: Random) -> str:
    """A text made from one or two of ``seeds``."""
    if chance.random() < 0.01:
        return chance.choice(_OPENINGS) * chance.choice((50, 500, 5000))
    text = chance.choice(seeds)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5))):
        text = _changed(text, seeds, chance)
    return text[:_LONGEST]


def _changed(text: str, seeds: Sequence[str], chance: Random) -> str:
    at = chance.randrange(len(text) + 1)
    end = min(len(text), at + chance.choice((0, 1, 1, 2, 4, 15, 60)))
    way = chance.random()
    if way < 0.3:
        return text[:at] + chance.choice(_TOKENS) + text[end if way < 0.15 else at :]
    if way < 0.42:
        return text[:at] + text[end:]
    if way < 0.55:  # of two, one
        other = chance.choice(seeds)
        begin = chance.randrange(len(other) + 1)
        return text[:at] + other[begin : begin + chance.choice((1, 5, 20, 200))] + text[end:]
    if way < 0.63:
        return text[:at] + text[at:end] * chance.choice((2, 3, 30)) + text[end:]
    if way < 0.71:  # deeper
        pair = chance.choice(_PAIRS)
        half, times = len(pair) - len(pair) // 2, chance.choice((1, 1, 2, 20, 300))
        return text[:at] + pair[:half] * times + text[at:end] + pair[half:] * times + text[end:]
    if way < 0.83 and (numbers := list(_NUMBER.finditer(text))):
        found = chance.choice(numbers)
        return text[: found.start()] + chance.choice(_NUMBERS) + text[found.end() :]
    if way < 0.87:
        return text[:at] + chance.choice(_NUMBERS) + text[at:]
    if way < 0.93 and (lines := text.split("\n"))[1:]:  # a line twice, elsewhere, or further in
        line = chance.choice(lines)
        lines.insert(chance.randrange(len(lines)), chance.choice(("", " ", "  ", "\t", "- ")) + line)
        return "\n".join(lines)
    if way < 0.96:
        return text[:at]
    return (
        text[:at] + chr(chance.choice((chance.randrange(32, 127), chance.randrange(0x110000)))) + text[end:]
    )


# -- trees: JSON and YAML objects ----------------------------------------------------------------------------

_VALUES: tuple[Any, ...] = (
    "", None, True, False, 0, -1, 1 << 70, 1.5, float("1e300"), [], {}, [[]], [{}], [None], {"a": None}, {"": ""}, "{{",
    "{{=", "{{x}}", "{{=1}}", "{{inputs.parameters.x}}", "{{item}}", "'", '"', "\n", "\0", "$(x)", "../..", "a" * 5000,
    "\u202e", "*", "&a", "- ", "1h", "1e9", "99999999999999999999", {"name": None}, [{"name": 1}], {"valueFrom": []},
    {"valueFrom": {"path": 1}}, "0x", "-", ".", "~", "{{workflow.status}}", ["a", ["b"]], {"configMap": {}},
    {"parameters": {}}, {"parameters": [None]}, {"artifacts": [None]}, {"items": 1}, "\ufeff", "null", "a\n---\nb: 1",
)  # fmt: skip


def tree_of(trees: Sequence[Any], names: Sequence[str], chance: Random) -> Any:
    """A tree with one to four things changed: values, keys, what is repeated, moved, or lies deeper."""
    tree = copy.deepcopy(chance.choice(trees))
    for _ in range(chance.choice((1, 1, 2, 2, 3, 4))):
        paths = list(_paths(tree))
        if not paths:
            break
        path = chance.choice(paths)
        holder = _at(tree, path[:-1])
        key = path[-1]
        way = chance.random()
        if way < 0.4:
            holder[key] = copy.deepcopy(chance.choice(_VALUES))
        elif way < 0.5:
            del holder[key]
        elif way < 0.65 and isinstance(holder, dict):
            holder[chance.choice(names)] = holder[key] if way < 0.6 else holder.pop(key)
        elif way < 0.75 and isinstance(holder, list):
            holder.insert(chance.randrange(len(holder)), copy.deepcopy(holder[key]))
        elif way < 0.9:
            other = chance.choice(trees) if way < 0.82 else tree
            places = list(_paths(other)) or [()]
            holder[key] = copy.deepcopy(_at(other, chance.choice(places)))
        elif way < 0.97 and isinstance(holder[key], str):
            holder[key] = text_of((holder[key], *map(str, names[:1])), chance)
        else:
            for _ in range(chance.choice((1, 3, 60))):
                holder[key] = [holder[key]] if chance.random() < 0.5 else {chance.choice(names): holder[key]}
    return tree


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    stack = [(value, path)]
    while stack:
        value, path = stack.pop()
        items = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, inner in items:
            yield (*path, key)
            stack.append((inner, (*path, key)))


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


# -- bytes ---------------------------------------------------------------------------------------------------

_EDGES = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\0\0\0",
    b"\x80" + b"\x7f" * 11,
)


def bytes_of(data: bytes, chance: Random, others: Sequence[bytes] = ()) -> bytes:
    """Bytes with one to five places changed, the first ones more often than others."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        size = len(found)
        at = chance.randrange(min(size, 600) if chance.random() < 0.4 else size) if size else 0
        way = chance.random()
        if way < 0.3:
            edge = chance.choice(_EDGES)
            found[at : at + len(edge)] = edge
        elif way < 0.5:
            found[at : at + 1] = bytes([chance.randrange(256)])
        elif way < 0.6:
            found[at : at + 1] = bytes([(found[at] if size else 0) ^ (1 << chance.randrange(8))])
        elif way < 0.7:
            del found[at : at + chance.choice((1, 2, 16, 512))]
        elif way < 0.8:
            del found[at:]
        elif way < 0.9:
            found[at:at] = found[at : at + chance.choice((1, 16, 512))] * chance.choice((1, 2, 20))
        elif others:
            other = chance.choice(others)
            begin = chance.randrange(len(other) + 1)
            found[at:at] = other[begin : begin + chance.choice((4, 64, 600))]
        else:
            found += bytes(chance.randrange(256) for _ in range(chance.randrange(30)))
    return bytes(found)


def as_json(tree: Any) -> str:
    return json.dumps(tree)
