"""The versions of Argo that the linter speaks of, and what the older one does not know.

Everything else in this package is 4.1.2. What differs in 4.0 was found by asking `argo lint --offline --strict` of
4.0.5, whose own schema (api/jsonschema/schema.json) lacks these fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

from tiphys.argo.reader import Path
from tiphys.argo.schema import table
from tiphys.errors import RefusedError

__all__ = ["ARGO_VERSIONS", "NEWEST", "Argo", "known", "newer_fields"]

Argo = Literal["4.0", "4.1"]
ARGO_VERSIONS: tuple[Argo, ...] = get_args(Argo)
NEWEST: Argo = ARGO_VERSIONS[-1]

# Wherever a type of Argo's has a field of such a name, 4.1 added it (tests/lint/test_versions.py).
_SINCE_4_1 = frozenset(
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


def known(version: Argo) -> Argo:
    """The version itself. Raises RefusedError TIP215 for one that the linter does not know."""
    if version not in ARGO_VERSIONS:
        fix = f"use one of {', '.join(ARGO_VERSIONS)}"
        raise RefusedError("TIP215", f"unknown version of Argo {version!r}", fix=fix)
    return version


def newer_fields(data: Any, kind: str) -> Iterator[Path]:
    """The fields of a decoded object of that kind that 4.0 does not have; what is below them is not looked at."""
    types = table()

    def walk(value: Any, reference: str, path: Path) -> Iterator[Path]:
        if reference[0] == "#" and isinstance(value, dict):
            fields = types.fields(reference)
            for name, inner in value.items():
                if name in _SINCE_4_1:
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
