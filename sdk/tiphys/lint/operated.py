"""The replicas of jobs of the training operator, whatever their kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from tiphys.argo.decode import decode
from tiphys.argo.schema import table
from tiphys.lint.manifests import Manifest

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import TFJobManifest, TFReplica
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["KINDS", "OperatedKind", "replicas_of"]


class OperatedKind(NamedTuple):
    """``field`` of the spec that has the replicas; the ``container`` that each must have; the ``policy`` of replicas
    that say none; which of them ends the job well."""

    field: str
    container: str
    policy: str
    lead: str


KINDS: Mapping[str, OperatedKind] = {
    "TFJob": OperatedKind("tfReplicaSpecs", "tensorflow", "Never", "Worker"),
    "PyTorchJob": OperatedKind("pytorchReplicaSpecs", "pytorch", "OnFailure", "Master"),
    "XGBoostJob": OperatedKind("xgbReplicaSpecs", "xgboost", "Never", "Master"),
    "MPIJob": OperatedKind("mpiReplicaSpecs", "", "Never", "Launcher"),  # any container will do
}


def replicas_of(manifest: Manifest) -> dict[str, TFReplica]:
    """By their types; none of another kind of object. All kinds have replicas of one type, which is TFJob's."""
    kind = KINDS.get(manifest.kind)
    if kind is None or (manifest.kind != "TFJob" and manifest.api != "kubeflow.org/v1"):
        return {}
    data = manifest.data
    if manifest.kind != "TFJob":
        read = cast("Json", {"spec": {"tfReplicaSpecs": manifest.get("spec", kind.field)}})
        data = cast("JsonObject", decode(read, table().objects["kubeflow.org/v1/TFJob"])[0] or {})
    return (cast("TFJobManifest", data).get("spec") or {}).get("tfReplicaSpecs") or {}
