"""What a template requests, against numbers computed by hand from its text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tiphys.records.requests import PodBounds, Requests, amount, bounds, requests

MI = 2**20


def of(template: dict[str, Any], **metadata: Any) -> Requests:
    return requests({"metadata": metadata, "spec": {"templates": [{"name": "t", **template}]}})["t"]


def pod(cpu: str, memory: str) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu, "memory": memory}}
    return {"spec": {"containers": [{"name": "c", "resources": resources}]}}


def made(manifest: object, action: str = "create") -> dict[str, Any]:
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    return {"resource": {"action": action, "manifest": text}}


def test_a_pod_with_argos_own_container() -> None:
    main = {"resources": {"limits": {"cpu": "2", "nvidia.com/gpu": 1}, "requests": {"cpu": "500m"}}}
    side = {"name": "side", "resources": {"requests": {"memory": "300Mi"}}}
    found = of({"container": main, "sidecars": [side]})
    # main, side and wait; who requests none has 100m and 100Mi
    assert found.own == pytest.approx({"cpu": 0.5 + 0.1 + 0.1, "memory": 500 * MI, "nvidia.com/gpu": 1})
    assert found.gang == {} and found.pool == ""
    assert of({"dag": {"tasks": []}}) == Requests()


def test_a_training_is_its_replicas() -> None:
    job = {
        "kind": "TFJob",
        "spec": {
            "tfReplicaSpecs": {
                "Chief": {"template": pod("1", "1Gi")},
                "Worker": {"replicas": 3, "template": pod("500m", "200Mi")},
            }
        },
    }
    found = of(made(job))
    assert found.own == pytest.approx({"cpu": 0.1, "memory": 100 * MI})
    assert found.gang == pytest.approx({"cpu": 2.5, "memory": 1024 * MI + 600 * MI})
    spec = {"replicas": 2, "template": {"spec": {"parallelism": 4, "template": pod("1", "100Mi")}}}
    found = of(made({"kind": "JobSet", "spec": {"replicatedJobs": [spec]}}))
    assert found.gang == pytest.approx({"cpu": 8, "memory": 800 * MI})


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("PyTorchJob", {"pytorchReplicaSpecs": {"Master": {"template": pod("1", "1Gi")},
                                                "Worker": {"replicas": 2, "template": pod("1", "1Gi")}}}),
        ("MPIJob", {"mpiReplicaSpecs": {"Worker": {"replicas": 3, "template": pod("1", "1Gi")}}}),
        ("XGBoostJob", {"xgbReplicaSpecs": {"Worker": {"replicas": 3, "template": pod("1", "1Gi")}}}),
        ("RayJob", {"rayClusterSpec": {"headGroupSpec": {"template": pod("1", "1Gi")},
                                       "workerGroupSpecs": [{"replicas": 2, "template": pod("1", "1Gi")}]}}),
        ("TrainJob", {"trainer": {"numNodes": 3, "resourcesPerNode": {"requests": {"cpu": "1", "memory": "1Gi"}}}}),
    ],
    ids=str,
)  # fmt: skip
def test_trainings_of_other_kinds(kind: str, spec: dict[str, Any]) -> None:
    assert of(made({"kind": kind, "spec": spec})).gang == pytest.approx({"cpu": 3, "memory": 3 * 1024 * MI})


@pytest.mark.parametrize(
    "manifest",
    ["", "kind: TFJob", "{{inputs.parameters.manifest}}", "[]", "{", "[" * 100_000]
    + [
        {"kind": "TFJob", "spec": spec}
        for spec in ({}, [], {"tfReplicaSpecs": []}, {"tfReplicaSpecs": {"Worker": 3}})
    ]
    + [{"kind": "JobSet", "spec": {"replicatedJobs": [3]}}, {"kind": "Deployment"}]
    + [{"kind": "TrainJob"}, {"kind": "RayJob", "spec": {"rayClusterSpec": {"workerGroupSpecs": [1, {}]}}}],
)
def test_what_is_no_training_requests_nothing(manifest: object) -> None:
    assert of(made(manifest)).gang == {}
    assert of(made({"kind": "TFJob"}, action="delete")).gang == {}


def test_whose_pool_it_is() -> None:
    locks = {"semaphores": [{"configMapKeyRef": {"name": "locks", "key": "two"}}]}
    pools = {"tiphys.dev/pools": json.dumps({"locks/two": {"pool": "training", "permits": 2, "size": 4}})}
    template = {"container": {}, "synchronization": locks}
    assert of(template, annotations=pools).pool == "training"
    assert of(template).pool == ""


def test_templates_of_a_template_are_there() -> None:
    status: Any = {"storedWorkflowTemplateSpec": {"templates": [{"name": "t", "container": {}}]}}
    assert requests({"metadata": {}, "spec": {}, "status": status})["t"].own
    status = {"storedTemplates": {"namespaced/x/t": {"name": "t", "container": {}}}}
    assert requests({"metadata": {}, "spec": {}, "status": status})["t"].own


def test_units() -> None:
    assert amount("memory", 3) == 300 * MI and amount("cpu", 3) == 3


def test_bounds_of_one_pod_that_is_looked_at() -> None:
    def found(template: dict[str, Any]) -> PodBounds | None:
        return bounds({"metadata": {}, "spec": {"templates": [{"name": "t", **template}]}}).get("t")

    resources = {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "500m"}}
    # a request that is not written is the limit, as the API server fills it in
    want = PodBounds({"cpu": 0.5, "memory": 1024 * MI}, {"cpu": 2, "memory": 1024 * MI})
    assert found({"container": {"resources": resources}}) == want
    replica = {"spec": {"containers": [{"name": "tensorflow", "resources": resources}]}}
    job = {"kind": "TFJob", "spec": {"tfReplicaSpecs": {"Worker": {"replicas": 3, "template": replica}}}}
    assert found(made(job)) == want
    two = [{"name": "a", "resources": resources}, {"name": "b", "resources": {"limits": {"memory": "1Gi"}}}]
    pair = found({"containerSet": {"containers": two}})
    assert pair is not None and pair.limits == {"memory": 2048 * MI} and pair.requests["cpu"] == 0.5
    grown = found({"container": {"resources": resources}, "podSpecPatch": "{{= lastRetry.exitCode }}"})
    assert grown is not None and grown.grows
    assert found({"dag": {"tasks": []}}) is None
    assert found({"container": {"resources": {"limits": {"cpu": "much"}}}}) == PodBounds()
