"""Which version of a model is served under which alias, and how it came to be: pure functions over one document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.lazy import asked_for

if TYPE_CHECKING:
    from tiphys.registry.changes import put_default, put_weights, register, rollback, to_alias
    from tiphys.registry.document import AliasState, AuditRow, ModelDocument, ModelVersion
    from tiphys.registry.names import check_alias, check_model_name

__all__ = [
    "AliasState",
    "AuditRow",
    "ModelDocument",
    "ModelVersion",
    "check_alias",
    "check_model_name",
    "put_default",
    "put_weights",
    "register",
    "rollback",
    "to_alias",
]

# each run asks which names are the registry's, and few have a model
_HOMES = {
    "AliasState": ".document",
    "AuditRow": ".document",
    "ModelDocument": ".document",
    "ModelVersion": ".document",
    "check_alias": ".names",
    "check_model_name": ".names",
    "put_default": ".changes",
    "put_weights": ".changes",
    "register": ".changes",
    "rollback": ".changes",
    "to_alias": ".changes",
}


def __getattr__(name: str) -> Any:
    return asked_for(__name__, _HOMES, name)
