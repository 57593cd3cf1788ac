"""The fields that Argo 4.1 has and 4.0 has not.

They were found by asking `argo lint --offline --strict` of
4.0.5, whose own schema (api/jsonschema/schema.json) lacks these fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar, cast

from tiphys.argo.reader import Path
from tiphys.argo.schema import table

T = TypeVar("T", bound=Mapping[str, object])

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


def newer_fields(data: object, kind: str) -> Iterator[Path]:
    """The fields of a decoded object of that kind that 4.0 does not have; what is below them is not looked at."""
    types = table()

    def walk(value: object, reference: str, path: Path) -> Iterator[Path]:
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


def older_reading(item: T) -> T:
    """An object as 4.0 reads it once it is stored: without the fields that it does not know."""
    kind = str(item.get("kind"))
    if kind not in table().roots:
        return item
    for *way, last in list(newer_fields(item, kind)):
        item = cast("T", _without(item, way, last))
    return item


def _without(value: object, way: list[str | int], last: str | int) -> object:
    """A copy of what is on the way, all else is shared."""
    copy: dict[object, object] = dict(
        value if isinstance(value, dict) else enumerate(cast("list[object]", value))
    )
    if way:
        copy[way[0]] = _without(copy[way[0]], way[1:], last)
    else:
        del copy[last]
    return copy if isinstance(value, dict) else list(copy.values())
