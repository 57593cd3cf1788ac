"""The conditions of resource templates: label selectors whose keys are paths into the object."""

from __future__ import annotations

import re
from typing import Any

from tiphys.schema import table

__all__ = ["Requirement", "fault", "requirements", "unknown_part"]

_KEY = r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_SIMPLE = re.compile(rf"\s*({_KEY})\s*(==|=|!=|>|<)\s*({_VALUE})\s*\Z")
_SET = re.compile(rf"\s*({_KEY})\s+(in|notin)\s*\(\s*({_VALUE}(?:\s*,\s*{_VALUE})*)\s*\)\s*\Z")
_EXISTS = re.compile(rf"\s*(!?)\s*({_KEY})\s*\Z")
_TAG = re.compile(r"\{\{[^}]*\}\}")

Requirement = tuple[str, str, str]  # path, operator, value


def _split(text: str) -> list[str]:
    """At the commas that are not inside brackets."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def requirements(text: str) -> list[Requirement]:
    """The requirements of a legal condition; what cannot be read is left out."""
    found: list[Requirement] = []
    for part in _split(_TAG.sub("1", text)):
        for pattern in (_SIMPLE, _SET):
            match = pattern.match(part)
            if match:
                found.append((match[1], "==" if match[2] == "=" else match[2], match[3]))
                break
        else:
            exists = _EXISTS.match(part)
            if exists:
                found.append((exists[2], "!" if exists[1] else "exists", ""))
    return found


def fault(text: str) -> str:
    """Say what is wrong with a condition; empty when it can be read."""
    for part in _split(_TAG.sub("1", text)):
        simple = _SIMPLE.match(part)
        if simple:
            if simple[2] in "<>" and not re.fullmatch(r"-?\d+", simple[3]):
                return f"{simple[2]} compares whole numbers, not {simple[3]!r}"
            if len(simple[1].rsplit("/", 1)[-1]) > 63 or len(simple[3]) > 63:
                return f"paths and values have at most 63 characters: {part.strip()!r}"
        elif not _SET.match(part) and not _EXISTS.match(part):
            return f"{part.strip()!r} is no label selector (`path == value`, `path in (a,b)`, `path > 1`)"
    return ""


def unknown_part(path: str, reference: str) -> tuple[str, tuple[str, ...]]:
    """The first part of a path that the object type does not have, with the fields it does have there."""
    types = table()
    for part in path.split("."):
        if reference[0] == "#":
            fields: dict[str, Any] = types.fields(reference)
            if part not in fields:
                return part, tuple(fields)
            reference = fields[part]
        elif reference[0] == "a" and len(reference) > 1:
            if part != "#" and not part.isdigit():
                return part, ("0", "1")
            reference = reference[1:]
        elif reference[0] == "m" and len(reference) > 1:
            reference = reference[1:]
        else:
            return "", ()
    return "", ()
