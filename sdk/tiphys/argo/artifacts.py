"""Where an artifact lies: the kinds of places that Argo knows, and the key in one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject


__all__ = ["LOCATIONS", "key_of", "location_of", "with_key"]

LOCATIONS = ("s3", "gcs", "oss", "azure", "hdfs", "artifactory", "raw", "http", "git", "plugin")
_FIELDS = {"hdfs": "path", "artifactory": "url", "azure": "blob"}  # that are not called "key"


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
    return str(settings.get(_FIELDS.get(kind, "key")) or "")


def with_key(artifact: Mapping[str, object], key: str) -> JsonObject:
    """An artifact at another key of its store; in the default one where it names none. Source: Artifact.SetKey."""
    kind, settings = location_of(artifact) or ("s3", {})
    own = cast("JsonObject", {**artifact})
    return {**own, kind: {**settings, _FIELDS.get(kind, "key"): key}}
