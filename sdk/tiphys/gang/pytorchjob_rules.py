"""What a PyTorchJob means here (kubeflow.org/v1, training operator 1.9.4): what its webhook refuses
(pkg/webhooks/pytorch), and what its workers are told, on localhost (envvar, master and elastic.go of
pkg/controller.v1/pytorch).

Of an ``elasticPolicy`` what torch itself does has a stand-in: c10d at one of the workers. What somebody else would have
to do (etcd, another host, a HorizontalPodAutoscaler) is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from tiphys.argo.operated_kinds import OPERATED
from tiphys.errors import RefusedError
from tiphys.gang.operator_rules import container_problems, denied, name_of, name_problems, replica_path

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import RunPolicy, TFJobStatus, TFReplica
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.jsontypes import JsonObject

__all__ = ["CONTAINER", "TYPES", "PyTorchJobManifest", "PyTorchJobSpec", "check_pytorchjob", "worker_env"]

TYPES = ("Master", "Worker")
CONTAINER, _FIELD = OPERATED["PyTorchJob"].container, OPERATED["PyTorchJob"].field
# fields of an elastic policy that ask for what this machine has not, and what may be said in them
_ELSEWHERE: dict[str, tuple[object, ...]] = {"rdzvBackend": ("c10d",), "rdzvHost": (), "metrics": ([],)}


class PyTorchJobManifest(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: PyTorchJobSpec
    status: TFJobStatus  # of all kinds of the operator


class ElasticPolicy(TypedDict, total=False):
    minReplicas: int
    maxReplicas: int
    maxRestarts: int
    nProcPerNode: int
    rdzvBackend: str
    rdzvConf: list[dict[str, str]]
    rdzvHost: str
    rdzvId: str
    rdzvPort: int
    standalone: bool
    metrics: list[JsonObject]


class PyTorchJobSpec(TypedDict, total=False):
    elasticPolicy: ElasticPolicy
    nprocPerNode: str
    pytorchReplicaSpecs: dict[str, TFReplica]
    runPolicy: RunPolicy


def check_pytorchjob(manifest: PyTorchJobManifest) -> None:
    """Raises ApiError Forbidden or Invalid for what a cluster refuses, RefusedError TIP237 for what has no stand-in."""
    name = name_of(manifest.get("metadata") or {})
    spec = manifest.get("spec") or {}
    _check_elastic(spec.get("elasticPolicy"))
    problems = name_problems(name)
    replicas = spec.get("pytorchReplicaSpecs")
    if replicas is None:
        problems.append(f"spec.{_FIELD}: Required value: must be required")
    policy = spec.get("elasticPolicy")
    if policy is not None and "Worker" not in (replicas or {}):
        problems.append(
            f"{replica_path(_FIELD, 'Worker')}: Required value: must be configured if elastic policy is used"
        )
    if policy is not None and policy.get("nProcPerNode") is not None and spec.get("nprocPerNode") is not None:
        problems.append("spec.elasticPolicy.nProcPerNode: Forbidden: must not be used with spec.nprocPerNode")
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


def _check_elastic(policy: ElasticPolicy | None) -> None:
    for field, known in _ELSEWHERE.items():
        if policy is not None and (value := policy.get(field)) is not None and value not in known:
            raise RefusedError(
                "TIP237",
                f"PyTorchJob: spec.elasticPolicy.{field} has no local stand-in",
                cause="here the workers meet by c10d, at the first of them",
                fix="leave it out, or run it on a cluster",
            )


def worker_env(
    spec: PyTorchJobSpec, counts: Mapping[str, int], kind: str, index: int, port: int
) -> dict[str, str]:
    """The variables of one replica. ``counts``: of all of them, by their kinds; ``port``: where they meet."""
    total = sum(counts.values())
    policy = spec.get("elasticPolicy")
    processes = spec.get("nprocPerNode")
    each = int(processes) if processes and processes.lstrip("+-").isdecimal() else 1
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
    if processes or policy is None or policy.get("nProcPerNode") is None:
        found["PET_NPROC_PER_NODE"] = processes or "auto"
    if policy is None:
        return {**found, "PET_NNODES": str(total)}
    return found | _elastic_env(policy, counts, port)


def _elastic_env(policy: ElasticPolicy, counts: Mapping[str, int], port: int) -> dict[str, str]:
    least, most = policy.get("minReplicas"), policy.get("maxReplicas")
    if least is None and most is None:
        least = most = counts.get("Worker", 1)
    least, most = (most if least is None else least), (least if most is None else most)
    found = {
        "PET_RDZV_ENDPOINT": f"localhost:{port}",
        "PET_RDZV_BACKEND": policy.get("rdzvBackend") or "c10d",
        "PET_NNODES": f"{least}:{most}",
    }
    if (restarts := policy.get("maxRestarts")) is not None:
        found["PET_MAX_RESTARTS"] = str(restarts)
    if (processes := policy.get("nProcPerNode")) is not None:
        found["PET_NPROC_PER_NODE"] = str(processes)
    if (name := policy.get("rdzvId")) is not None:
        found["PET_RDZV_ID"] = name
    if settings := policy.get("rdzvConf"):
        found["PET_RDZV_CONF"] = ",".join(f"{each['key']}={each['value']}" for each in settings)
    if policy.get("standalone"):
        found["PET_STANDALONE"] = ""
    return found
