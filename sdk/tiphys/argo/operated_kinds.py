"""The kinds of jobs of Kubeflow's training operator (kubeflow.org/v1, 1.9.4), and what is said of each in one word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["OPERATED", "OperatedKind"]


class OperatedKind(NamedTuple):
    """``field`` of the spec that has the replicas; the ``container`` that each must have, empty where any will do; the
    ``policy`` of replicas that say none; ``lead``: which of them ends the job well."""

    field: str
    container: str
    policy: str
    lead: str


OPERATED: Mapping[str, OperatedKind] = {
    "TFJob": OperatedKind("tfReplicaSpecs", "tensorflow", "Never", "Worker"),
    "PyTorchJob": OperatedKind("pytorchReplicaSpecs", "pytorch", "OnFailure", "Master"),
    "XGBoostJob": OperatedKind("xgbReplicaSpecs", "xgboost", "Never", "Master"),
    "MPIJob": OperatedKind("mpiReplicaSpecs", "", "Never", "Launcher"),
}
