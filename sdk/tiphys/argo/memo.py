"""Memoization: until when a template takes an earlier result, and what its key is made of.

A template that Tiphys compiled says the parts of its key in the annotation ``tiphys.dev/key-parts``: a JSON object of
texts (``code``, ``image``, ``version``, ``env.NAME``), and under ``inputs`` and ``references`` the names of the inputs
that count by their text, or by the digest in it. Of any other template all inputs are taken for parts.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from tiphys.expr.durations import parse_go
from tiphys.lazy import regex

if TYPE_CHECKING:
    from tiphys.argo.types import Template

__all__ = ["KEY_PARTS", "cache_map", "example_map", "family", "parts_of", "too_old"]

KEY_PARTS = "tiphys.dev/key-parts"
_OURS = regex(r"(tiphys-cache-.+)-[0-9a-f]{2}")
_LONGEST = 500  # letters of a value that are kept as they are


def cache_map(template: str, key: str) -> str:
    """The ConfigMap of a template's results under ``key`` (a tag): one of 256, by two hex digits of the key's digest.

    One holds 1 MiB. Argo (seen on 4.0.5) replaces the tags in this name as in the rest of the template.
    """
    expression = key.removeprefix("{{").removeprefix("=").removesuffix("}}")
    return f"tiphys-cache-{template}-{{{{=sprig.trunc(2, sprig.sha256sum({expression}))}}}}"


def example_map(cache: str) -> str:
    """A map that ``memoize`` names: the name, or the first of those over which results are spread evenly; an empty text
    for another name with tags, which nobody knows before it runs."""
    if "{{" not in cache:
        return cache
    before, _, tag = cache.partition("-{{=sprig.trunc(2, sprig.sha256sum(")
    return f"{before}-00" if tag and before.startswith("tiphys-cache-") else ""


def family(cache: str) -> str:
    """What the maps of one template share: ``tiphys-cache-train`` of ``tiphys-cache-train-3f``; else the name."""
    found = _OURS.fullmatch(cache)
    return found[1] if found else cache


def too_old(created: float | None, max_age: str, now: float) -> bool:
    """Whether a result made at ``created`` (seconds; None: nobody knows, Go's zero time) is older than ``max_age``.

    That is a Go duration; with an empty text nothing is too old. Raises ValueError for another text.
    """
    if not max_age:
        return False
    age = parse_go(max_age)
    return created is None or now - created > age


def parts_of(template: Template) -> dict[str, str]:
    """The parts of the key of a substituted template, by name: ``code``, ``image``, ``inputs.NAME`` and so on.

    Of a long value it is the beginning and the digest.
    """
    values = {
        item["name"]: str(item.get("value", item.get("default", "")))
        for item in (template.get("inputs") or {}).get("parameters") or []
    }
    try:
        said = json.loads((template.get("annotations") or {}).get(KEY_PARTS) or "null")
    except ValueError:
        said = None
    if not isinstance(said, dict):
        said = {"inputs": list(values)}
    parts = {name: value for name, value in said.items() if isinstance(value, str)}
    for kind in ("inputs", "references"):
        names = said.get(kind)
        for name in names if isinstance(names, list) else ():
            if name in values:
                parts[f"inputs.{name}"] = _digest(values[name]) if kind == "references" else values[name]
    return {name: _short(value) for name, value in parts.items()}


def _digest(text: str) -> str:
    """A reference by the digest in it, as it counts in a key."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    found = value.get("digest") if isinstance(value, dict) else None
    return found if isinstance(found, str) else text


def _short(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}… sha256:{hashlib.sha256(text.encode()).hexdigest()}"
