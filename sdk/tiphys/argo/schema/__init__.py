"""Which fields and types each object has: a compact table (data.json), and decoding against it.

The table is written by ``scripts/lint_schema.py`` from the CRDs of Argo 4.1.2, those of the training operator
and the openAPI of Kubernetes; it loads in under a millisecond, so that linting needs no import of Hera.
"""

from __future__ import annotations

import functools
import json
import os
from typing import TYPE_CHECKING, TypedDict

__all__ = ["Table", "table"]

if TYPE_CHECKING:

    class _Raw(TypedDict):
        types: list[tuple[dict[str, str], list[str]]]  # the fields, and the names of those that are required
        roots: dict[str, str]
        objects: dict[str, str]


class Table:
    """Struct types by number; ``roots`` are Argo's own, ``objects`` those a manifest may hold."""

    __slots__ = ("objects", "required", "roots", "structs")

    def __init__(self, raw: _Raw) -> None:
        self.structs = [fields for fields, _ in raw["types"]]
        self.required = [required for _, required in raw["types"]]
        self.roots = raw["roots"]
        self.objects = raw["objects"]

    def fields(self, reference: str) -> dict[str, str]:
        """The fields of the struct ``#N``."""
        return self.structs[int(reference[1:])]


@functools.cache
def table() -> Table:
    """Return the table, read once."""
    # not importlib.resources: it takes longer to import than everything else here
    with open(os.path.join(os.path.dirname(__file__), "data.json"), encoding="utf-8") as stream:
        return Table(json.load(stream))
