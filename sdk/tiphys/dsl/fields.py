"""The fields of a pipeline that can be set: a name that is none of them would be kept and do nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

from tiphys.compiler.line import caller
from tiphys.errors import UnknownNameError, did_you_mean

__all__ = ["check_field"]

_known: dict[Any, frozenset[str]] = {}


def check_field(kind: Any, name: str, own: tuple[str, ...]) -> None:
    """Refuse to set ``name`` (TIP103) unless it is private, a field of Hera's workflow, one of ``own``, or declared
    by a subclass."""
    if kind not in _known:
        declared = {each for base in kind.__mro__ for each in getattr(base, "__annotations__", {})}
        _known[kind] = frozenset({*declared, *(field.name for field in dataclasses.fields(kind)), *own})
    if name.startswith("_") or name in _known[kind]:
        return
    raise UnknownNameError(
        "TIP103",
        f"a {kind.__name__} has no field {name!r}.{did_you_mean(name, sorted(_known[kind]))}",
        where=str(caller()),
        cause="it would have no effect",
        fix="use the name of a field of Hera's Workflow, for example active_deadline_seconds",
    )
