"""The fields that Argo 4.1 has and 4.0 has not.

They were found by asking `argo lint --offline --strict` of
4.0.5, whose own schema (api/jsonschema/schema.json) lacks these fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiphys.argo.reader import Path
from tiphys.argo.schema import table

__all__ = ["SINCE_4_1", "newer_fields", "older_reading"]

# Wherever a type of Argo's has a field of such a name, 4.1 added it (tests/lint/test_versions.py).
SINCE_4_1 = frozenset(
    (
        "addressingStyle",
        "executorPlugins",
        "fileKeyRef",
        "pendingTimeout",
        "podCertificate",
        "podResources",
        "resourceClaims",
        "restartPolicyRules",
        "saveStreamViaFile",
    )
)


def newer_fields(data: Any, kind: str) -> Iterator[Path]:
    """The fields of a decoded object of that kind that 4.0 does not have; what is below them is not looked at."""
    types = table()

    def walk(value: Any, reference: str, path: Path) -> Iterator[Path]:
        if reference[0] == "#" and isinstance(value, dict):
            fields = types.fields(reference)
            for name, inner in value.items():
                if name in SINCE_4_1:
                    yield (*path, name)
                elif name in fields:
                    yield from walk(inner, fields[name], (*path, name))
        elif reference[0] == "a" and isinstance(value, list):
            for index, inner in enumerate(value):
                yield from walk(inner, reference[1:], (*path, index))
        elif reference[0] == "m" and isinstance(value, dict):
            for name, inner in value.items():
                yield from walk(inner, reference[1:], (*path, name))

    return walk(data, types.roots[kind], ())


def older_reading(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object as 4.0 reads it once it is stored: without the fields that it does not know."""
    kind = str(item.get("kind"))
    if kind not in table().roots:
        return item
    for *way, last in list(newer_fields(item, kind)):
        item = _without(item, way, last)
    return item


def _without(value: Any, way: list[Any], last: Any) -> Any:
    """A copy of what is on the way, all else is shared."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    if way:
        copy[way[0]] = _without(value[way[0]], way[1:], last)
    else:
        del copy[last]
    return copy
