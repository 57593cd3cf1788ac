"""What the operator's webhook says of a PyTorchJob (the cases of its own test), and what it tells workers."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.argo.answers import ApiError
from tiphys.errors import RefusedError
from tiphys.gang.pytorchjob_rules import check_pytorchjob, worker_env


def job(name: str = "test", **replicas: Any) -> Any:
    return {"metadata": {"name": name}, "spec": {"pytorchReplicaSpecs": replicas}}


def replica(container: str = "pytorch", image: str = "gcr.io/i", **fields: Any) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [{"name": container, "image": image}]}}, **fields}


@pytest.mark.parametrize(
    "manifest",
    [
        job(Master=replica(replicas=1), Worker=replica(replicas=1)),
        job(Master=replica()),
        job(Worker=replica(replicas=3, restartPolicy="ExitCode")),
    ],
)
def test_what_is_taken(manifest: Any) -> None:
    check_pytorchjob(manifest)


# pkg/webhooks/pytorch/pytorchjob_webhook_test.go
@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (job("0-test", Master=replica()), 'metadata.name: Invalid value: "0-test"'),
        ({"metadata": {"name": "test"}, "spec": {}}, "spec.pytorchReplicaSpecs: Required value"),
        (job(Worker={"template": {"spec": {}}}), "spec.pytorchReplicaSpecs[Worker].template.spec.containers"),
        (job(Worker=replica(image="")), "containers[0].image: Required value: must be required"),
        (job(Worker=replica("main")), "must have at least one container with name pytorch"),
        (job(Chief=replica()), "spec.pytorchReplicaSpecs[Chief]"),
        (job(Master=replica(replicas=2)), "spec.pytorchReplicaSpecs[Master].replicas: Forbidden: must be 1"),
        (job(Worker=replica(replicas=0)), "Forbidden: must be at least 1"),
    ],
)
def test_what_the_webhook_refuses(manifest: Any, words: str) -> None:
    with pytest.raises(ApiError) as raised:
        check_pytorchjob(manifest)
    assert "validator.pytorchjob.training-operator.kubeflow.org" in str(raised.value)
    assert words in str(raised.value)


def test_what_the_schema_refuses() -> None:
    with pytest.raises(ApiError, match="PyTorchJob"):
        check_pytorchjob(job(Master=replica(restartPolicy="Sometimes")))


def test_an_elastic_job_has_no_stand_in() -> None:
    manifest = job(Worker=replica())
    manifest["spec"]["elasticPolicy"] = {"minReplicas": 1}
    with pytest.raises(RefusedError, match="elasticPolicy") as raised:
        check_pytorchjob(manifest)
    assert raised.value.code == "TIP237"


# pkg/controller.v1/pytorch/envvar.go and master.go
@pytest.mark.parametrize(
    ("spec", "counts", "key", "expected"),
    [
        (
            {},
            {"Master": 1, "Worker": 2},
            ("Worker", 1),
            {"RANK": "2", "WORLD_SIZE": "3", "PET_NODE_RANK": "2"},
        ),
        ({}, {"Master": 1}, ("Master", 0), {"RANK": "0", "WORLD_SIZE": "1", "PET_NPROC_PER_NODE": "auto"}),
        (
            {"nprocPerNode": "4"},
            {"Master": 1, "Worker": 1},
            ("Master", 0),
            {"WORLD_SIZE": "8", "PET_NNODES": "2"},
        ),
    ],
)
def test_who_is_told_what(spec: Any, counts: dict[str, int], key: tuple[str, int], expected: Any) -> None:
    found = worker_env(spec, counts, *key, port=5)
    assert expected.items() <= found.items()
    assert found["MASTER_ADDR"] == found["PET_MASTER_ADDR"] == "localhost"
    assert found["MASTER_PORT"] == found["PET_MASTER_PORT"] == "5"


def test_workers_without_a_master_are_told_of_none() -> None:
    assert worker_env({}, {"Worker": 2}, "Worker", 1, port=5) == {
        "PYTHONUNBUFFERED": "1", "PET_NPROC_PER_NODE": "auto", "PET_NNODES": "2",
    }  # fmt: skip
