"""The manifests on a real API server: they apply, the accounts may do what they must and nothing more."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import ROOT, Cluster
from tests.cluster.queueing import VOLCANO, definitions
from tests.cluster.upstream import definition

pytestmark = [pytest.mark.cluster]
OVERLAYS = ROOT / "manifests" / "overlays"

MAY = [
    ("create", "workflowtaskresults.argoproj.io"),
    *(
        (verb, kind)
        for kind in (
            "tfjobs.kubeflow.org",
            "pytorchjobs.kubeflow.org",
            "xgboostjobs.kubeflow.org",
            "mpijobs.kubeflow.org",
            "deployments.apps",
            "services",
            "httproutes.gateway.networking.k8s.io",
            "grpcroutes.gateway.networking.k8s.io",
        )
        for verb in ("create", "get", "list", "watch", "patch", "delete")
    ),
]
MAY_NOT = [
    ("create", "pods"),
    ("get", "secrets"),
    ("list", "secrets"),
    ("get", "configmaps"),
    ("update", "configmaps"),
    ("create", "pods/exec"),
    ("create", "workflows.argoproj.io"),
    ("delete", "workflows.argoproj.io"),
    ("create", "rolebindings.rbac.authorization.k8s.io"),
    ("create", "jobs.batch"),
    ("create", "serviceaccounts/token"),
    ("create", "networkpolicies.networking.k8s.io"),
    ("patch", "namespaces"),
]


def is_allowed(cluster: Cluster, namespace: str, account: str, verb: str, kind: str) -> bool:
    """What the API server says of a service account, also of kinds that nobody has defined there."""
    name, _, group = kind.partition(".")
    resource, _, part = name.partition("/")
    asked = {"namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": part}
    groups = [
        "system:serviceaccounts",
        f"system:serviceaccounts:{namespace}",
        "system:authenticated",
    ]
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{namespace}:{account}",
            "groups": groups,
            "resourceAttributes": asked,
        },
    }
    said = cluster.kubectl("create", "-o", "json", "-f", "-", text=json.dumps(review))
    return bool(json.loads(said)["status"]["allowed"])


def test_a_step_may_create_what_a_pipeline_creates_and_nothing_more(cluster: Cluster) -> None:
    def allowed(verb: str, kind: str) -> bool:
        return is_allowed(cluster, "argo", "tiphys", verb, kind)

    assert [item for item in MAY if not allowed(*item)] == []
    assert [item for item in MAY_NOT if allowed(*item)] == []


def test_the_default_account_may_report_results_and_nothing_else(cluster: Cluster) -> None:
    try:
        cluster.kubectl("apply", "-k", str(OVERLAYS / "team"))

        def allowed(verb: str, kind: str) -> bool:
            return is_allowed(cluster, "tiphys", "default", verb, kind)

        reports = [(verb, "workflowtaskresults.argoproj.io") for verb in ("create", "patch")]
        assert all(allowed(*item) for item in reports)
        assert [item for item in (*MAY, *MAY_NOT) if item not in reports and allowed(*item)] == []
    finally:
        cluster.kubectl("delete", "namespace", "tiphys", "--ignore-not-found", "--timeout=60s")
        give_back(cluster)


DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "tiphys-policy"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {
                "automountServiceAccountToken": False,
                "containers": [{"name": "tensorflow", "image": "x"}],
                "volumes": [
                    {"name": "claim", "persistentVolumeClaim": {"claimName": "tiphys"}},
                    {"name": "tmp", "emptyDir": {}},
                ],
            },
        },
    },
}
SECRET_KEY = {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
# by reference: what a step of a workflow may have, too. A model server needs none
SECRETS: dict[str, dict[str, Any]] = {
    "a volume of a Secret": {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
    "a projected Secret": {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}]},
    "a Secret in the environment": {
        "containers": [{"name": "tensorflow", "image": "x", "env": [{"name": "A", **SECRET_KEY}]}]
    },
    "all of a Secret in the environment": {
        "containers": [{"name": "tensorflow", "image": "x", "envFrom": [{"secretRef": {"name": "s"}}]}]
    },
    "a Secret of an init container": {
        "initContainers": [{"name": "i", "image": "x", "env": [{"name": "A", **SECRET_KEY}]}]
    },
}
REFUSED: dict[str, dict[str, Any]] = {
    "a projected token": {
        "volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]
    },
    "a driver with a Secret": {
        "volumes": [{"name": "v", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "s"}}}]
    },
    "a folder of the node": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
    "another account": {"serviceAccountName": "tiphys"},
    "a token": {"automountServiceAccountToken": True},
    "the default, which is a token": {"automountServiceAccountToken": None},
    "the node's network": {"hostNetwork": True},
    "the node's processes": {"hostPID": True},
    "all rights": {
        "containers": [{"name": "tensorflow", "image": "x", "securityContext": {"privileged": True}}]
    },
}


def tfjob_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """The same pod as a worker."""
    worker = {"replicas": 1, "restartPolicy": "Never", "template": deployment["spec"]["template"]}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": deployment["metadata"],
        "spec": {"tfReplicaSpecs": {"Worker": worker}},
    }


def pytorchjob_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """The same pod as the master of a PyTorchJob."""
    pod = copy.deepcopy(deployment["spec"]["template"])
    pod["spec"]["containers"][0]["name"] = "pytorch"
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": deployment["metadata"],
        "spec": {"pytorchReplicaSpecs": {"Master": {"replicas": 1, "template": pod}}},
    }


def xgboostjob_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """The same pod as the master of an XGBoostJob."""
    pod = copy.deepcopy(deployment["spec"]["template"])
    pod["spec"]["containers"][0]["name"] = "xgboost"
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "XGBoostJob",
        "metadata": deployment["metadata"],
        "spec": {"xgbReplicaSpecs": {"Master": {"replicas": 1, "template": pod}}},
    }


def mpijob_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """The same pod as a worker of an MPIJob, whose launcher has a token."""
    pod = copy.deepcopy(deployment["spec"]["template"])
    pod["spec"]["containers"][0]["name"] = "mpi"
    launcher = copy.deepcopy(pod)
    launcher["spec"]["automountServiceAccountToken"] = True
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "MPIJob",
        "metadata": deployment["metadata"],
        "spec": {
            "mpiReplicaSpecs": {
                "Launcher": {"replicas": 1, "template": launcher},
                "Worker": {"replicas": 1, "template": pod},
            }
        },
    }


def rayjob_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """The same pod as the head of a Ray cluster and as its worker."""
    pod = deployment["spec"]["template"]
    group = {"groupName": "workers", "rayStartParams": {}, "template": pod}
    cluster = {"headGroupSpec": {"rayStartParams": {}, "template": pod}, "workerGroupSpecs": [group]}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": deployment["metadata"],
        "spec": {"entrypoint": "true", "rayClusterSpec": cluster},
    }


def jobset_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """The same pod as that of a JobSet."""
    pod = copy.deepcopy(deployment["spec"]["template"])
    pod["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": deployment["metadata"],
        "spec": {"replicatedJobs": [{"name": "worker", "template": {"spec": {"template": pod}}}]},
    }


MADE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "Deployment": lambda made: made,
    "TFJob": tfjob_of,
    "PyTorchJob": pytorchjob_of,
    "XGBoostJob": xgboostjob_of,
    "MPIJob": mpijob_of,
    "JobSet": jobset_of,
    "RayJob": rayjob_of,
}
NOT_THERE = {
    "XGBoostJob": "xgboostjobs.kubeflow.org",
    "MPIJob": "mpijobs.kubeflow.org",
    "JobSet": "jobsets.jobset.x-k8s.io",
    "RayJob": "rayjobs.ray.io",
}


@pytest.fixture
def with_kind(kind: str, cluster: Cluster) -> Iterator[str]:
    """The kind, which the API server knows: the throw-away cluster has not all of them."""
    name = NOT_THERE.get(kind)
    if name is None or name in cluster.kubectl("get", "crd", "-o", "name"):
        yield kind
        return
    try:
        found = definition(kind)
    except OSError as error:
        pytest.skip(f"the published definition of {kind} could not be fetched: {error}")
    try:
        cluster.define(found)
        yield kind
    finally:
        cluster.kubectl("delete", "crd", name, "--ignore-not-found", "--wait=false")


@pytest.mark.parametrize("kind", MADE)
def test_what_a_pipeline_creates_has_no_rights_of_others_and_secrets_by_name_only_where_it_trains(
    cluster: Cluster, with_kind: str
) -> None:
    """The account of a pipeline may create pods by way of these: a model server without Secrets, a training job with
    those that it names, and none with a token or on a node."""

    def create(changes: dict[str, Any], account: str = "tiphys") -> str:
        made = copy.deepcopy(DEPLOYMENT)
        made["spec"]["template"]["spec"].update(changes)
        text = json.dumps(MADE[with_kind](made))
        who = f"--as=system:serviceaccount:argo:{account}" if account else "--as=admin"
        groups = [] if account else ["--as-group=system:masters"]
        return cluster.kubectl(
            "create", "--dry-run=server", "-n", "argo", who, *groups, "-f", "-", text=text, check=False
        )

    cluster.until("the kind is served", lambda: "created" in create({}), 60)
    first = next(iter(REFUSED.values()))
    cluster.until("the policy is in force", lambda: "tiphys-created-objects" in create(first), 60)
    said = {what: create(changes) for what, changes in REFUSED.items()}
    assert {what: text for what, text in said.items() if "tiphys-created-objects" not in text} == {}
    named = {what: create(changes) for what, changes in SECRETS.items()}
    refused = {what for what, text in named.items() if "tiphys-created-objects" in text}
    assert refused == (set(SECRETS) if with_kind == "Deployment" else set()), named
    assert with_kind == "Deployment" or all("created" in text for text in named.values()), named
    assert "created" in create(REFUSED["a folder of the node"], account="")  # others are not asked


def test_a_service_of_a_pipeline_takes_nobody_s_address(cluster: Cluster) -> None:
    def create(spec: dict[str, Any]) -> str:
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "tiphys-policy"}, "spec": spec}
        return cluster.kubectl(
            "create", "--dry-run=server", "-n", "argo", "--as=system:serviceaccount:argo:tiphys", "-f", "-",
            text=json.dumps(service), check=False,
        )  # fmt: skip

    ports = [{"port": 80}]
    assert "created" in create({"ports": ports})
    assert "tiphys-created-objects" in create({"ports": ports, "externalIPs": ["192.0.2.1"]})
    assert "tiphys-created-objects" in create({"type": "ExternalName", "externalName": "example.org"})


def give_back(cluster: Cluster) -> None:
    """There are three volumes in all, and nobody gives one back to the others."""
    for volume in cluster.get("pv"):
        if (volume["spec"].get("claimRef") or {}).get("namespace") == "tiphys":
            name = volume["metadata"]["name"]
            cluster.kubectl("patch", "pv", name, "--type=merge", "-p", '{"spec": {"claimRef": null}}')


def rendered(cluster: Cluster, overlay: str) -> list[dict[str, Any]]:
    text = cluster.kubectl("kustomize", str(OVERLAYS / overlay))
    return [item for item in yaml.safe_load_all(text) if item]


def test_the_overlay_of_a_team_applies_and_applies_again(cluster: Cluster) -> None:
    try:
        cluster.kubectl("apply", "-k", str(OVERLAYS / "team"))
        again = cluster.kubectl("apply", "-k", str(OVERLAYS / "team"))
        assert {line.split()[-1] for line in again.splitlines()} <= {"unchanged", "configured"}
        assert (
            cluster.get("namespace", "tiphys")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
            == "restricted"
        )
        assert (
            cluster.get("-n", "tiphys", "resourcequota", "tiphys")["spec"]["hard"]["services.nodeports"]
            == "0"
        )
    finally:
        cluster.kubectl("delete", "namespace", "tiphys", "--ignore-not-found", "--timeout=60s")
        give_back(cluster)


@pytest.fixture
def queueing(cluster: Cluster) -> Iterator[list[dict[str, Any]]]:
    """The objects of the overlay that are Volcano's, whose definitions the API server has."""
    schemas = definitions(VOLCANO)
    names = [item["metadata"]["name"] for item in schemas]
    groups = {item["spec"]["group"] for item in schemas}
    try:
        cluster.define(*schemas)
        yield [
            item for item in rendered(cluster, "volcano") if item["apiVersion"].partition("/")[0] in groups
        ]
    finally:
        cluster.kubectl("delete", "crd", *names, "--ignore-not-found", "--wait=false")


def offered(cluster: Cluster, item: dict[str, Any]) -> str:
    """What the API server says to the object: it validates strictly and stores nothing."""
    item = {**item, "metadata": {"name": item["metadata"]["name"]}}  # there is no namespace of a team here
    command = ("create", "--dry-run=server", "--validate=strict", "-n", "argo", "-f", "-")
    return cluster.kubectl(*command, text=json.dumps(item), check=False)


def test_the_overlay_of_volcano_fits_its_schemas(queueing: list[dict[str, Any]], cluster: Cluster) -> None:
    assert queueing
    for item in queueing:
        assert offered(cluster, item).endswith("created (server dry run)")
        broken = {**item, "spec": {**item["spec"], "no": 1}} if item.get("spec") else {**item, "no": 1}
        assert "unknown field" in offered(cluster, broken)


BROKEN: list[tuple[str, str, Any, str]] = [
    ("Queue", "spec.weight", "heavy", "must be of type integer"),
    ("Queue", "spec.capability.cpu", "much", "should match"),
]


def test_what_does_not_fit_their_schemas_is_refused(queueing: list[dict[str, Any]], cluster: Cluster) -> None:
    """The schemas are tight: a mistake in each of the fields that the overlays set would be seen."""
    kinds = {item["kind"]: item for item in queueing}
    tried = 0
    for kind, path, value, said in BROKEN:
        if kind not in kinds:
            continue
        broken = at = json.loads(json.dumps(kinds[kind]))
        *way, last = path.split(".")
        for part in way:
            at = at[int(part)] if part.isdigit() else at[part]
        if value is None:
            del at[last]
        else:
            at[last] = value
        assert said in offered(cluster, broken), (kind, path)
        tried += 1
    assert tried


def test_volcano_gets_the_fields_it_needs_from_a_tfjob(cluster: Cluster) -> None:
    """The training operator copies runPolicy.schedulingPolicy into the PodGroup: these are its real
    fields."""
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": "tiphys-test-gang"},
        "spec": {
            "runPolicy": {
                "schedulingPolicy": {
                    "minAvailable": 2,
                    "queue": "default",
                    "priorityClass": "tiphys-training",
                    "minResources": {"cpu": "2", "memory": "4Gi"},
                    "scheduleTimeoutSeconds": 600,
                }
            },
            "tfReplicaSpecs": {
                "Worker": {
                    "replicas": 2,
                    "template": {
                        "spec": {"containers": [{"name": "tensorflow", "image": "tiphys/step:0.1.0"}]}
                    },
                }
            },
        },
    }
    cluster.kubectl(
        "create", "--dry-run=server", "--validate=strict", "-n", "argo", "-f", "-", text=json.dumps(job)
    )


def test_the_template_and_the_schedule_are_accepted_by_argo(cluster: Cluster) -> None:
    folder = ROOT / "manifests" / "pipelines"
    said = cluster.argo("lint", str(folder / "workflow-template.yaml"), str(folder / "cron-workflow.yaml"))
    assert "no linting errors" in said
    assert cluster.get("cronworkflow", "fashion-mnist-weekly")["spec"]["suspend"] is True
