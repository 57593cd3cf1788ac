"""What the training operator's webhook says of a TFJob (kubeflow.org/v1, operator 1.9.4, pkg/webhooks/tensorflow)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.gang.operator_rules import container_problems, denied, name_of, name_problems, replica_path

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import TFJobManifest

__all__ = ["TYPES", "validate_tfjob"]

TYPES = ("Chief", "Master", "PS", "Worker", "Evaluator")


def validate_tfjob(manifest: TFJobManifest) -> None:
    """What the operator's webhook checks (pkg/webhooks/tensorflow). Raises ApiError Forbidden."""
    name = name_of(manifest.get("metadata") or {})
    problems = name_problems(name)
    replicas = (manifest.get("spec") or {}).get("tfReplicaSpecs")
    if not replicas:
        problems.append("spec.tfReplicaSpecs: Required value: must be specified")
    chiefs = 0
    for kind, replica in sorted((replicas or {}).items()):
        path = replica_path("tfReplicaSpecs", kind)
        if kind not in TYPES:
            problems.append(f'{path}: Not supported value: "{kind}"')
        if kind in ("Chief", "Master"):
            chiefs += 1
        problems += container_problems("TFJob", name, path, replica, "tensorflow")
    if chiefs > 1:
        problems.append("spec.tfReplicaSpecs: Forbidden: must not have more than 1 Chief or Master role")
    denied("TFJob", problems)
