"""Where an artifact lies: the kinds of places that Argo knows, and the key in one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["LOCATIONS", "key_of", "location_of"]

Artifact = Mapping[str, Any]
LOCATIONS = ("s3", "gcs", "oss", "azure", "hdfs", "artifactory", "raw", "http", "git", "plugin")


def location_of(artifact: Artifact) -> tuple[str, Mapping[str, Any]] | None:
    """The kind of place an artifact names, with its settings."""
    for kind in LOCATIONS:
        if artifact.get(kind) is not None:
            return kind, artifact[kind]
    return None


def key_of(artifact: Artifact) -> str:
    """The key (or path) of an artifact in its store; empty when it has none."""
    found = location_of(artifact)
    if found is None:
        return ""
    kind, settings = found
    field = {"hdfs": "path", "artifactory": "url", "azure": "blob"}.get(kind, "key")
    return str(settings.get(field) or "")
