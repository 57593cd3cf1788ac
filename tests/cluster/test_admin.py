"""The manifests on a real API server: they apply, the accounts may do what they must and nothing more."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import ROOT, Cluster

pytestmark = [pytest.mark.cluster]
OVERLAYS = ROOT / "manifests" / "overlays"

MAY = [
    ("create", "workflowtaskresults.argoproj.io"),
    *(
        (verb, kind)
        for kind in ("tfjobs.kubeflow.org", "deployments.apps", "services")
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


def test_a_step_may_create_what_a_pipeline_creates_and_nothing_more(cluster: Cluster) -> None:
    account = "--as=system:serviceaccount:argo:tiphys"

    def allowed(verb: str, kind: str) -> bool:
        said = cluster.kubectl("auth", "can-i", verb, kind, account, "-n", "argo", check=False)
        return said.split()[-1] == "yes"

    assert [item for item in MAY if not allowed(*item)] == []
    assert [item for item in MAY_NOT if allowed(*item)] == []


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
        for volume in cluster.get("pv"):  # there are three in all, and nobody gives one back to the others
            if (volume["spec"].get("claimRef") or {}).get("namespace") == "tiphys":
                name = volume["metadata"]["name"]
                cluster.kubectl("patch", "pv", name, "--type=merge", "-p", '{"spec": {"claimRef": null}}')


def crd(kind: str, plural: str, group: str, version: str, scope: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A CustomResourceDefinition for the fields that the overlays use, as the project of that kind documents
    them."""
    top = {"type": "object", "properties": {"spec": spec}} if spec.get("type") == "object" else spec
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            # groups of kubernetes.io need it; the value says that these are nobody's real API
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", **top}},
                }
            ],
        },
    }


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _list(items: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": most}


_TEXT = {"type": "string"}
_QUANTITY = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
_LABELS = {"type": "object", "additionalProperties": _TEXT}


def _enum(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


# https://kueue.sigs.k8s.io/docs/reference/kueue.v1beta1/
_RESOURCE = _object(
    ("name", "nominalQuota"),
    name=_TEXT,
    nominalQuota=_QUANTITY,
    borrowingLimit=_QUANTITY,
    lendingLimit=_QUANTITY,
)
_FLAVOR = _object(("name", "resources"), name=_TEXT, resources=_list(_RESOURCE, 16))
_GROUP = _object(
    ("coveredResources", "flavors"), coveredResources=_list(_TEXT, 16), flavors=_list(_FLAVOR, 16)
)
KUEUE = [
    crd(
        "ClusterQueue", "clusterqueues", "kueue.x-k8s.io", "v1beta1", "Cluster",
        _object(
            cohort={"type": "string", "maxLength": 253},
            queueingStrategy=_enum("StrictFIFO", "BestEffortFIFO"),
            namespaceSelector=_object(matchLabels=_LABELS),
            preemption=_object(
                withinClusterQueue=_enum("Never", "LowerPriority", "LowerOrNewerEqualPriority"),
                reclaimWithinCohort=_enum("Never", "LowerPriority", "Any"),
            ),
            resourceGroups=_list(_GROUP, 16),
        ),
    ),
    crd(
        "LocalQueue", "localqueues", "kueue.x-k8s.io", "v1beta1", "Namespaced",
        _object(clusterQueue=_TEXT, stopPolicy=_enum("None", "Hold", "HoldAndDrain")),
    ),
    crd(
        "ResourceFlavor", "resourceflavors", "kueue.x-k8s.io", "v1beta1", "Cluster",
        _object(nodeLabels=_LABELS),
    ),
    crd(
        "WorkloadPriorityClass", "workloadpriorityclasses", "kueue.x-k8s.io", "v1beta1", "Cluster",
        {"required": ["value"], "properties": {"value": {"type": "integer"}, "description": _TEXT}},
    ),
]  # fmt: skip
# https://volcano.sh/en/docs/queue/
VOLCANO = [
    crd(
        "Queue", "queues", "scheduling.volcano.sh", "v1beta1", "Cluster",
        _object(
            weight={"type": "integer"},
            reclaimable={"type": "boolean"},
            capability={"type": "object", "additionalProperties": _QUANTITY},
            parent=_TEXT,
            priority={"type": "integer"},
        ),
    )
]  # fmt: skip


@pytest.mark.parametrize(("overlay", "schemas"), [("kueue", KUEUE), ("volcano", VOLCANO)])
def test_the_overlays_of_the_queueing_systems_fit_their_schemas(
    cluster: Cluster, overlay: str, schemas: list[dict[str, Any]]
) -> None:
    """Strict validation by the API server: unknown and wrongly typed fields are refused."""
    names = [item["metadata"]["name"] for item in schemas]
    try:
        for item in schemas:
            cluster.kubectl("apply", "-f", "-", text=json.dumps(item))
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", *names)
        own = [
            item
            for item in rendered(cluster, overlay)
            if item["apiVersion"].startswith(("kueue.x-k8s.io", "scheduling.volcano.sh"))
        ]
        assert own
        for item in own:
            item["metadata"].pop("namespace", None)
            cluster.kubectl(
                "create",
                "--dry-run=server",
                "--validate=strict",
                "-n",
                "argo",
                "-f",
                "-",
                text=json.dumps(item),
            )
            broken = (
                {**item, "spec": {**item.get("spec", {}), "notAField": 1}}
                if "spec" in item
                else item | {"no": 1}
            )
            said = cluster.kubectl(
                "create", "--dry-run=server", "--validate=strict", "-n", "argo", "-f", "-",
                text=json.dumps(broken), check=False,
            )  # fmt: skip
            assert "unknown field" in said
    finally:
        cluster.kubectl("delete", "crd", *names, "--ignore-not-found", "--wait=false")


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
