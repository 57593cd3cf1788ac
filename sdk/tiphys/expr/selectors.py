"""Label selectors (k8s.io/apimachinery/pkg/labels): for ``-l``, and as Argo's resource conditions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Requirement", "SelectorError", "gjson", "matches_labels", "parse_selector", "refusal"]

Json = Any
_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_TOKEN = re.compile(r"\s*(==|!=|=|!|>|<|\(|\)|,|[^\s=!<>(),]+)")


class SelectorError(ValueError):
    """The text is no selector."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition: ``operator`` is ``=``, ``==``, ``!=``, ``in``, ``notin``, ``exists``, ``!``, ``gt``, ``lt``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As Go prints the struct in Argo's messages: ``{status.phase in [Error Failed]}``."""
        return "{" + f"{self.key} {self.operator} [{' '.join(self.values)}]" + "}"

    def matches(self, get: Callable[[str], str | None]) -> bool:
        """Whether it holds; ``get`` gives the value of a key, or None."""
        value = get(self.key)
        match self.operator:
            case "=" | "==" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        try:
            left, right = int(value or ""), int(self.values[0])
        except ValueError:
            return False
        return left > right if self.operator == "gt" else left < right


def parse_selector(text: str) -> list[Requirement]:
    """The comma-separated requirements, sorted by key as ``labels.Parse`` does. Raises SelectorError."""
    tokens = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise SelectorError(f"unable to parse requirement: {text!r}")
        tokens.append(match[1])
        position = match.end()
    found: list[Requirement] = []
    while tokens:
        found.append(_requirement(tokens, text))
        if tokens and (tokens.pop(0) != "," or not tokens):
            raise SelectorError(f"found unexpected token in {text!r}, expected: ','")
    return sorted(found, key=lambda requirement: requirement.key)


def _requirement(tokens: list[str], text: str) -> Requirement:
    key = tokens.pop(0)
    if key == "!":
        if not tokens:
            raise SelectorError(f"found '', expected: identifier in {text!r}")
        return Requirement(tokens.pop(0), "!")
    if key in ("=", "==", "!=", ">", "<", "(", ")", ","):
        raise SelectorError(f"found '{key}', expected: !, identifier, or 'end of string'")
    if not tokens or tokens[0] == ",":
        return Requirement(key, "exists")
    operator = tokens.pop(0)
    if operator in ("in", "notin"):
        if not tokens or tokens.pop(0) != "(" or ")" not in tokens:
            raise SelectorError(f"found '', expected: '(' in {text!r}")
        end = tokens.index(")")
        values = sorted({token for token in tokens[:end] if token != ","})
        del tokens[: end + 1]
        return Requirement(key, operator, tuple(values))
    if operator not in ("=", "==", "!=", ">", "<"):
        raise SelectorError(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
    value = tokens.pop(0) if tokens and tokens[0] != "," else ""
    return Requirement(key, {">": "gt", "<": "lt"}.get(operator, operator), (value,))


def refusal(requirement: Requirement) -> str:
    """Why labels.NewRequirement refuses a requirement: its key, its values; empty when it does not."""
    key, values = requirement.key, requirement.values
    if not _KEY.fullmatch(key) or not all(_VALUE.fullmatch(value) for value in values):
        return f"{key!r} with {', '.join(map(repr, values)) or 'no value'} is no label selector"
    if requirement.operator in ("gt", "lt") and not re.fullmatch(r"-?\d+", values[0]):
        return f"{'>' if requirement.operator == 'gt' else '<'} compares whole numbers, not {values[0]!r}"
    if len(key.rsplit("/", 1)[-1]) > 63 or any(len(value) > 63 for value in values):
        return f"paths and values have at most 63 characters: {key!r}"
    return ""


def matches_labels(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether an object's labels match a selector."""
    return all(each.matches(labels.get) for each in parse_selector(selector))


def gjson(value: Json, path: str) -> str | None:
    """The part of gjson paths that a label key can spell: names, indices. Text as ``gjson.Result.String``."""
    parts = [part.replace("\0", ".") for part in path.replace("\\.", "\0").split(".")]
    for part in parts:
        if isinstance(value, Mapping):
            if part not in value:
                return None
            value = value[part]
        elif isinstance(value, list):
            if part == "#":
                value = len(value)
            elif part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                return None
        else:
            return None
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
