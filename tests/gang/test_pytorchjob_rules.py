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


@pytest.mark.parametrize(
    "policy",
    [{"rdzvBackend": "etcd"}, {"rdzvHost": "etcd-service"}, {"metrics": [{"type": "Resource"}]}],
    ids=lambda policy: next(iter(policy)),
)
def test_what_somebody_else_would_have_to_do_has_no_stand_in(policy: dict[str, Any]) -> None:
    manifest = job(Worker=replica())
    manifest["spec"]["elasticPolicy"] = {"minReplicas": 1, **policy}
    with pytest.raises(RefusedError, match=next(iter(policy))) as raised:
        check_pytorchjob(manifest)
    assert raised.value.code == "TIP237"


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (
            job(Master=replica()),
            "spec.pytorchReplicaSpecs[Worker]: Required value: must be configured if elastic",
        ),
        (job(Worker=replica()), "spec.elasticPolicy.nProcPerNode: Forbidden: must not be used with"),
    ],
)
def test_what_the_webhook_says_of_an_elastic_policy(manifest: Any, words: str) -> None:
    manifest["spec"] |= {"nprocPerNode": "2", "elasticPolicy": {"nProcPerNode": 2}}
    with pytest.raises(ApiError) as raised:
        check_pytorchjob(manifest)
    assert words in str(raised.value)


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


def told(master: bool, **others: str) -> dict[str, str]:
    """What the operator gave a pod; ``JOB-master-0`` and 23456 there are ``localhost`` and 5 here."""
    found = {"PYTHONUNBUFFERED": "1", **others}
    if master:
        found |= {"MASTER_ADDR": "localhost", "PET_MASTER_ADDR": "localhost"}
        found |= {"MASTER_PORT": "5", "PET_MASTER_PORT": "5"}
    return found


# The environments of pods that the real training operator 1.9.4 made of PyTorchJob(…), printed on a cluster
@pytest.mark.parametrize(
    ("spec", "counts", "key", "expected"),
    [
        (
            {},
            {"Master": 1},
            ("Master", 0),
            told(True, WORLD_SIZE="1", RANK="0", PET_NODE_RANK="0", PET_NPROC_PER_NODE="auto",
                 PET_NNODES="1"),
        ),
        (
            {"nprocPerNode": "2"},
            {"Master": 1, "Worker": 2},
            ("Worker", 1),
            told(True, WORLD_SIZE="6", RANK="2", PET_NODE_RANK="2", PET_NPROC_PER_NODE="2",
                 PET_NNODES="3"),
        ),
        (
            {
                "nprocPerNode": "1",
                "elasticPolicy": {"minReplicas": 1, "maxReplicas": 2, "maxRestarts": 3, "rdzvBackend": "c10d"},
            },
            {"Worker": 2},
            ("Worker", 1),
            told(False, PET_NPROC_PER_NODE="1", PET_RDZV_ENDPOINT="localhost:5", PET_RDZV_BACKEND="c10d",
                 PET_NNODES="1:2", PET_MAX_RESTARTS="3"),
        ),
    ],
)  # fmt: skip
def test_a_worker_is_told_what_the_operator_tells_it(
    spec: Any, counts: dict[str, int], key: tuple[str, int], expected: dict[str, str]
) -> None:
    assert worker_env(spec, counts, *key, port=5) == expected


# pkg/controller.v1/pytorch/elastic.go
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, {"PET_NNODES": "3:3", "PET_NPROC_PER_NODE": "auto"}),
        ({"minReplicas": 2}, {"PET_NNODES": "2:2"}),
        ({"maxReplicas": 4}, {"PET_NNODES": "4:4"}),
        ({"nProcPerNode": 2, "rdzvId": "a"}, {"PET_NPROC_PER_NODE": "2", "PET_RDZV_ID": "a"}),
        (
            {"rdzvConf": [{"key": "timeout", "value": "9"}, {"key": "a", "value": "b"}], "standalone": True},
            {"PET_RDZV_CONF": "timeout=9,a=b", "PET_STANDALONE": ""},
        ),
    ],
)
def test_what_an_elastic_policy_says(policy: Any, expected: dict[str, str]) -> None:
    found = worker_env({"elasticPolicy": policy}, {"Worker": 3}, "Worker", 0, port=5)
    assert expected.items() <= found.items() and "RANK" not in found
