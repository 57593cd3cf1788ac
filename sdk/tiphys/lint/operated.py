"""The replicas of jobs of the training operator, whatever their kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tiphys.argo.decode import decode
from tiphys.argo.operated_kinds import OPERATED
from tiphys.argo.schema import table
from tiphys.lint.manifests import Manifest

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import TFJobManifest, TFReplica
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["replicas_of"]


def replicas_of(manifest: Manifest) -> dict[str, TFReplica]:
    """By their types; none of another kind of object. All kinds have replicas of one type, which is TFJob's."""
    kind = OPERATED.get(manifest.kind)
    if kind is None or (manifest.kind != "TFJob" and manifest.api != "kubeflow.org/v1"):
        return {}
    data = manifest.data
    if manifest.kind != "TFJob":
        read = cast("Json", {"spec": {"tfReplicaSpecs": manifest.get("spec", kind.field)}})
        data = cast("JsonObject", decode(read, table().objects["kubeflow.org/v1/TFJob"])[0] or {})
    return (cast("TFJobManifest", data).get("spec") or {}).get("tfReplicaSpecs") or {}
