"""What `kubectl` reads of an API server before it writes: that each kind takes ``fieldValidation``, so that the server
looks at what is sent. Source: QueryParamVerifierV3 of k8s.io/cli-runtime.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from tiphys.server.kube import discovery

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject
    from tiphys.server.kube.discovery import ApiResource

__all__ = ["PATHS", "document", "paths"]

PATHS = {
    "api/v1": ("", "v1", discovery.CORE),
    "apis/argoproj.io/v1alpha1": ("argoproj.io", "v1alpha1", discovery.ARGO),
}
"""The versions that are described: group, version and resources, by their paths."""


def paths() -> JsonObject:
    """Where each version is described; an address changes with what it says."""

    def address(path: str) -> str:
        digest = hashlib.sha256(json.dumps(document(path), sort_keys=True).encode()).hexdigest()
        return f"/openapi/v3/{path}?hash={digest[:32]}"

    return {"paths": {path: {"serverRelativeURL": address(path)} for path in PATHS}}


def document(path: str) -> JsonObject:
    """A version as OpenAPI 3 describes it, without schemas. Raises KeyError for one that is not there."""
    group, version, resources = PATHS[path]
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": str(discovery.version()["gitVersion"])},
        "paths": {
            f"/{path}/{'namespaces/{namespace}/' if each.namespaced else ''}{each.name}/{{name}}": _changes(
                each, group, version
            )
            for each in resources
            if "/" not in each.name
        },
        "components": {"schemas": {}},
    }


def _changes(resource: ApiResource, group: str, version: str) -> JsonObject:
    return {
        "patch": {
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": {"group": group, "kind": resource.kind, "version": version},
            "parameters": [
                {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
                for name in ("dryRun", "fieldValidation")
            ],
            "responses": {"200": {"description": "OK"}},
        }
    }
