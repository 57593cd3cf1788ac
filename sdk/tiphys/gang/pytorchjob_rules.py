"""What a PyTorchJob means here (kubeflow.org/v1, training operator 1.9.4): what its webhook refuses
(pkg/webhooks/pytorch), and what its workers are told (pkg/controller.v1/pytorch/envvar.go, master.go), on localhost.

A job with an ``elasticPolicy`` has no local stand-in: its workers look for each other through etcd or c10d.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from tiphys.errors import RefusedError
from tiphys.gang.operator_rules import container_problems, denied, name_of, name_problems, replica_path

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import RunPolicy, TFJobStatus, TFReplica
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.jsontypes import JsonObject

__all__ = ["CONTAINER", "TYPES", "PyTorchJobManifest", "PyTorchJobSpec", "check_pytorchjob", "worker_env"]

TYPES = ("Master", "Worker")
CONTAINER = "pytorch"
_FIELD = "pytorchReplicaSpecs"


class PyTorchJobManifest(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: PyTorchJobSpec
    status: TFJobStatus  # of all kinds of the operator


class PyTorchJobSpec(TypedDict, total=False):
    elasticPolicy: JsonObject
    nprocPerNode: str
    pytorchReplicaSpecs: dict[str, TFReplica]
    runPolicy: RunPolicy


def check_pytorchjob(manifest: PyTorchJobManifest) -> None:
    """Raises ApiError Forbidden or Invalid for what a cluster refuses, RefusedError TIP237 for what has no stand-in."""
    name = name_of(manifest.get("metadata") or {})
    spec = manifest.get("spec") or {}
    if spec.get("elasticPolicy") is not None:
        raise RefusedError(
            "TIP237",
            "PyTorchJob: spec.elasticPolicy has no local stand-in",
            cause="here a PyTorchJob is a gang of so many workers as it says",
            fix="leave it out, or run it on a cluster",
        )
    problems = name_problems(name)
    replicas = spec.get("pytorchReplicaSpecs")
    if replicas is None:
        problems.append(f"spec.{_FIELD}: Required value: must be required")
    for kind, replica in sorted((replicas or {}).items()):
        path = replica_path(_FIELD, kind)
        if kind not in TYPES:
            problems.append(f'{path}: Unsupported value: "{kind}": supported values: "Master", "Worker"')
        problems += container_problems("PyTorchJob", name, path, replica, CONTAINER)
        count = (replica or {}).get("replicas", 1)
        if kind == "Master" and count != 1:
            problems.append(f"{path}.replicas: Forbidden: must be 1")
        elif kind != "Master" and count < 1:
            problems.append(f"{path}.replicas: Forbidden: must be at least 1")
    denied("PyTorchJob", problems)


def worker_env(
    spec: PyTorchJobSpec, counts: Mapping[str, int], kind: str, index: int, port: int
) -> dict[str, str]:
    """The variables of one replica. ``counts``: of all of them, by their kinds; ``port``: the master's."""
    total = sum(counts.values())
    processes = spec.get("nprocPerNode") or "auto"
    each = int(processes) if processes.lstrip("+-").isdecimal() else 1
    found = {"PYTHONUNBUFFERED": "1"}
    if "Master" in counts:
        rank = str(index + 1 if kind == "Worker" else index)
        found |= {
            "MASTER_PORT": str(port),
            "PET_MASTER_PORT": str(port),
            "MASTER_ADDR": "localhost",
            "PET_MASTER_ADDR": "localhost",
            "WORLD_SIZE": str(total * each),
            "RANK": rank,
            "PET_NODE_RANK": rank,
        }
    return {**found, "PET_NPROC_PER_NODE": processes, "PET_NNODES": str(total)}
