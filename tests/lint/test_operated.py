"""What is said of a TFJob is said of the training operator's other kinds, where it is true of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tiphys.lint import lint


def codes(kind: str, field: str, container: str, count: int = 1, **more: Any) -> set[str]:
    """What is found in a step that makes such a job. ``more``: of the resource; ``policy`` of its replicas."""
    label = {"workflows.argoproj.io/workflow": "{{workflow.name}}"}
    replica = {
        "replicas": count,
        **more.pop("policy", {"restartPolicy": "ExitCode"}),
        "template": {
            "metadata": {"labels": label},
            "spec": {"containers": [{"name": container, "image": "i:1"}]},
        },
    }
    manifest = {
        "apiVersion": "kubeflow.org/v1",
        "kind": kind,
        "metadata": {"generateName": "demo-"},
        "spec": {"runPolicy": {"activeDeadlineSeconds": 9}, field: more.pop("replicas", {"Worker": replica})},
    }
    resource = {"action": "create", "successCondition": "a == b", "manifest": json.dumps(manifest), **more}
    spec = {"entrypoint": "main", "templates": [{"name": "main", "resource": resource}]}
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "w"},
        "spec": spec,
    }
    return {each.code for each in lint(json.dumps(workflow)) if each.code.startswith("L34")}


KINDS = [
    ("PyTorchJob", "pytorchReplicaSpecs", "pytorch"),
    ("XGBoostJob", "xgbReplicaSpecs", "xgboost"),
    ("MPIJob", "mpiReplicaSpecs", "mpi"),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[0])
def test_a_sound_job(kind: tuple[str, str, str]) -> None:
    assert codes(*kind) == set()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[0])
def test_a_gang_that_nobody_admits(kind: tuple[str, str, str]) -> None:
    assert codes(*kind, count=3) == {"L346"}


@pytest.mark.parametrize(("kind", "wrong"), [(KINDS[0], {"L340"}), (KINDS[1], {"L340"}), (KINDS[2], set())])
def test_the_container_that_the_webhook_looks_for(kind: tuple[str, str, str], wrong: set[str]) -> None:
    assert codes(kind[0], kind[1], "main") == wrong


def test_a_condition_that_aborts_restarts() -> None:
    """A PyTorchJob's replicas are restarted unless it says otherwise."""
    pytorch = KINDS[0]
    failed = "status.replicaStatuses.Worker.failed > 0"
    assert codes(*pytorch, policy={}, failureCondition=failed) == {"L342"}
    assert codes(*pytorch, policy={"restartPolicy": "Never"}, failureCondition=failed) == {"L348"}


@pytest.mark.parametrize(
    "replicas", [None, 3, "x", {"Worker": None}, {"Worker": {"template": 1, "replicas": "n"}}]
)
def test_what_is_no_replica_is_no_error_of_ours(replicas: object) -> None:
    codes(*KINDS[0], replicas=replicas)
