"""The versions of Argo that are spoken of. Everything in this library is the newest, but where it says otherwise.

Where they differ is written once, in docs/conformance.md; who acts on it asks for ``"4.0"``.
"""

from __future__ import annotations

from typing import Literal, get_args

from tiphys.errors import RefusedError

__all__ = ["ARGO_VERSIONS", "NEWEST", "Argo", "known"]

Argo = Literal["4.0", "4.1"]
ARGO_VERSIONS: tuple[Argo, ...] = get_args(Argo)
NEWEST: Argo = ARGO_VERSIONS[-1]


def known(version: str) -> Argo:
    """The version itself. Raises RefusedError TIP215 for one that nobody knows here."""
    for each in ARGO_VERSIONS:
        if each == version:
            return each
    fix = f"use one of {', '.join(ARGO_VERSIONS)}"
    raise RefusedError("TIP215", f"unknown version of Argo {version!r}", fix=fix)
