"""Which version of a model is served under which alias, and how it came to be: pure functions over one document."""

from __future__ import annotations

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
