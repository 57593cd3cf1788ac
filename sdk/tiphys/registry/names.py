"""Names of models and of aliases: what a ConfigMap, a Service and a URL take as they are."""

from __future__ import annotations

import re

from tiphys.errors import RefusedError
from tiphys.lazy import regex

__all__ = [
    "NAME_LABEL",
    "VERSION_LABEL",
    "calls_service",
    "check_alias",
    "check_model_name",
    "config_map",
    "deployment",
    "named_by",
    "page_map",
]

_MODEL = regex(r"[a-z](?:[-a-z0-9]{0,48}[a-z0-9])?")
_ALIAS = regex(r"[A-Za-z](?:[-_A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_TAKEN = regex(r"latest|v\d+", re.IGNORECASE)  # MLflow reserves them: they say a version already


def check_model_name(name: str) -> None:
    """Raise RefusedError TIP260 unless a Service and a ConfigMap can have this name, with a version behind it."""
    if not _MODEL.fullmatch(name):
        raise RefusedError(
            "TIP260",
            f"{name!r} is not a name for a model",
            cause="it is the name of a Service and of a ConfigMap on a cluster",
            fix="use at most 50 of a-z, 0-9 and '-', with a letter first and no '-' last",
        )


def check_alias(alias: str) -> None:
    """Raise RefusedError TIP260 unless an alias may be called so."""
    if not _ALIAS.fullmatch(alias):
        raise RefusedError(
            "TIP260",
            f"{alias!r} is not a name for an alias",
            fix="use at most 63 letters, digits, '-' and '_', with a letter first",
        )
    if _TAKEN.fullmatch(alias):
        raise RefusedError(
            "TIP260",
            f"{alias!r} cannot be an alias",
            cause="it says which version is meant already",
            fix='name what it is for, such as "champion"',
        )


NAME_LABEL, VERSION_LABEL = "tiphys.dev/model-name", "tiphys.dev/model-version"
"""Of the Service of a model, its selector, and of the Deployment of a version and its pods."""


def deployment(name: str, version: int) -> str:
    """The Deployment that serves a version."""
    return f"{name}-v{version}"


_MAP = regex(r"tiphys-models-([^.]+)(?:\.audit\.(\d+))?")


def named_by(config: str) -> tuple[str, int] | None:
    """The model whose document (0) or whose page of the audit a ConfigMap of this name is; None for another one."""
    found = _MAP.fullmatch(config)
    if found is None or not _MODEL.fullmatch(found[1]):
        return None
    return found[1], int(found[2] or 0)


def config_map(name: str) -> str:
    """The ConfigMap of a model."""
    return f"tiphys-models-{name}"


def page_map(name: str, page: int) -> str:
    """The ConfigMap of a page of its audit; no model is called so, since names have no dot."""
    return f"tiphys-models-{name}.audit.{page:06d}"


def calls_service(name: str) -> str:
    """The headless Service for gRPC beside the Service ``name``."""
    return f"{name}-grpc"
