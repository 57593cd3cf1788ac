"""Where an artifact lies: the kinds of places that Argo knows, and the key in one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject


__all__ = ["LOCATIONS", "key_of", "location_of"]

LOCATIONS = ("s3", "gcs", "oss", "azure", "hdfs", "artifactory", "raw", "http", "git", "plugin")


def location_of(artifact: Mapping[str, object]) -> tuple[str, JsonObject] | None:
    """The kind of place an artifact names, with its settings."""
    given = cast("Mapping[str, JsonObject | None]", artifact)
    for kind in LOCATIONS:
        found = given.get(kind)
        if found is not None:
            return kind, found
    return None


def key_of(artifact: Mapping[str, object]) -> str:
    """The key (or path) of an artifact in its store; empty when it has none."""
    found = location_of(artifact)
    if found is None:
        return ""
    kind, settings = found
    field = {"hdfs": "path", "artifactory": "url", "azure": "blob"}.get(kind, "key")
    return str(settings.get(field) or "")
