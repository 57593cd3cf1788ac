"""The custom resources of Kueue and Volcano that `tiphys queue compile` and an overlay use: their definitions.

The fields of each spec, their types, enumerations and what is required are held against the projects' own
definitions by a test, as far as a package registry has them (upstream.py). Bounds, patterns, defaults and the
rules between fields were read on 2026-11-21, of ClusterQueue at commit 00b014c1 of kubernetes-sigs/kueue and of
Queue and PodGroup at 8855142c and a8913439 of volcano-sh/volcano; those of ResourceFlavor are not here. What only
describes, prints or reports (status) is left out. With TIPHYS_CRDS=FOLDER the tests take the projects' own files:
FOLDER holds the YAML files of Kueue's `config/components/crd/bases` or Volcano's `config/crd/volcano/bases`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

__all__ = ["KUEUE", "VOLCANO", "definitions"]

Json = dict[str, Any]


def _object(required: Sequence[str] = (), rules: Json | None = None, **properties: Any) -> Json:
    """An object with these fields; ``rules`` are CEL expressions that must hold, with what is said when not."""
    found: Json = {"type": "object", "properties": properties}
    if required:
        found["required"] = list(required)
    if rules:
        found["x-kubernetes-validations"] = [{"rule": rule, "message": text} for rule, text in rules.items()]
    return found


def _list(items: Json, most: int | None = None, *, least: int | None = None, key: str = "") -> Json:
    found: Json = {"type": "array", "items": items}
    if most is not None:
        found["maxItems"] = most
    if least is not None:
        found["minItems"] = least
    if key:
        found |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return found


def _map(values: Json, most: int | None = None) -> Json:
    return {"type": "object", "additionalProperties": values, **({"maxProperties": most} if most else {})}


def _enum(*values: str, default: str = "") -> Json:
    return {"type": "string", "enum": list(values), **({"default": default} if default else {})}


_TEXT: Json = {"type": "string"}
_FLAG: Json = {"type": "boolean"}
_INT: Json = {"type": "integer", "format": "int32"}
_QUANTITY: Json = {
    "x-kubernetes-int-or-string": True,
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "pattern": r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+))?$",
}
_DNS: Json = {
    "type": "string",
    "maxLength": 253,
    "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
}
_SELECTOR = _object(
    matchLabels=_map(_TEXT),
    matchExpressions=_list(_object(("key", "operator"), key=_TEXT, operator=_TEXT, values=_list(_TEXT))),
)
_FAIR = _object(weight=_QUANTITY | {"default": 1})
_STOP = _enum("None", "Hold", "HoldAndDrain", default="None")


def _crd(kind: str, plural: str, group: str, version: str, scope: str, top: Json) -> Json:
    schema = {"type": "object", **top}
    if "spec" not in top.get("properties", {}) and "required" not in top:
        schema = {"type": "object", "properties": {"spec": top}}
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
                {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


_RESOURCE = _object(
    ("name", "nominalQuota"),
    name=_TEXT,
    nominalQuota=_QUANTITY,
    borrowingLimit=_QUANTITY,
    lendingLimit=_QUANTITY,
)
_GROUP = _object(
    ("coveredResources", "flavors"),
    {
        "self.flavors.all(flavor, flavor.resources.size() == self.coveredResources.size())": (
            "flavors must have the same number of resources as the coveredResources"
        )
    },
    coveredResources=_list(_TEXT, 64, least=1),
    flavors=_list(
        _object(("name", "resources"), name=_DNS, resources=_list(_RESOURCE, 64, least=1, key="name")),
        64,
        least=1,
        key="name",
    ),
)
_PREEMPTION = _object(
    (),
    {
        "self.reclaimWithinCohort != 'Never' || !has(self.borrowWithinCohort)"
        " || self.borrowWithinCohort.policy == 'Never'": (
            "borrowWithinCohort.policy must be Never where reclaimWithinCohort is Never"
        )
    },
    borrowWithinCohort=_object(
        policy=_enum("Never", "LowerPriority", default="Never"), maxPriorityThreshold=_INT
    )
    | {"default": {}},
    reclaimWithinCohort=_enum("Never", "LowerPriority", "Any", default="Never"),
    withinClusterQueue=_enum("Never", "LowerPriority", "LowerOrNewerEqualPriority", default="Never"),
) | {"default": {}}
_CLUSTER_QUEUE = _object(
    (),
    {
        "has(self.cohortName) || !has(self.resourceGroups) || self.resourceGroups.all(group,"
        " group.flavors.all(flavor, flavor.resources.all(item, !has(item.borrowingLimit))))": (
            "borrowingLimit must be nil when cohort is empty"
        )
    },
    admissionChecksStrategy=_object(
        ("admissionChecks",),
        admissionChecks=_list(_object(("name",), name=_TEXT | {"maxLength": 316}, onFlavors=_list(_DNS))),
    ),
    admissionScope=_object(
        ("admissionMode",), admissionMode=_enum("UsageBasedAdmissionFairSharing", "NoAdmissionFairSharing")
    ),
    cohortName=_DNS,
    concurrentAdmissionPolicy=_object(
        ("migration",),
        migration=_object(
            ("mode",),
            mode=_enum("TryPreferredFlavors", "RetainFirstAdmission"),
            constraints=_object(lastAcceptableFlavorName=_TEXT),
        ),
    ),
    fairSharing=_FAIR,
    flavorFungibility=_object(
        preference=_enum("BorrowingOverPreemption", "PreemptionOverBorrowing"),
        whenCanBorrow=_enum("MayStopSearch", "TryNextFlavor", default="MayStopSearch"),
        whenCanPreempt=_enum("MayStopSearch", "TryNextFlavor", default="TryNextFlavor"),
    ),
    namespaceSelector=_SELECTOR,
    preemption=_PREEMPTION,
    queueingStrategy=_enum("StrictFIFO", "BestEffortFIFO", default="BestEffortFIFO"),
    resourceGroups=_list(_GROUP, 16),
    stopPolicy=_STOP,
)
_LOCAL_QUEUE = _object(
    clusterQueue=_DNS | {"x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "immutable"}]},
    stopPolicy=_STOP,
    fairSharing=_FAIR,
)
_FLAVOR = _object(
    nodeLabels=_map(_TEXT, 8),
    nodeTaints=_list(_object(("key", "effect"), key=_TEXT, value=_TEXT, effect=_TEXT, timeAdded=_TEXT), 8),
    tolerations=_list(
        _object(
            key=_TEXT,
            operator=_TEXT,
            value=_TEXT,
            effect=_TEXT,
            tolerationSeconds={"type": "integer", "format": "int64"},
        ),
        8,
    ),
    topologyName=_DNS,
)
KUEUE = [
    _crd("ClusterQueue", "clusterqueues", "kueue.x-k8s.io", "v1beta2", "Cluster", _CLUSTER_QUEUE),
    _crd("LocalQueue", "localqueues", "kueue.x-k8s.io", "v1beta2", "Namespaced", _LOCAL_QUEUE),
    _crd("ResourceFlavor", "resourceflavors", "kueue.x-k8s.io", "v1beta2", "Cluster", _FLAVOR),
    _crd(
        "WorkloadPriorityClass", "workloadpriorityclasses", "kueue.x-k8s.io", "v1beta2", "Cluster",
        {"required": ["value"], "properties": {"value": _INT, "description": _TEXT}},
    ),
]  # fmt: skip

_NODE_GROUPS = _object(
    preferredDuringSchedulingIgnoredDuringExecution=_list(_TEXT),
    requiredDuringSchedulingIgnoredDuringExecution=_list(_TEXT),
)
_QUEUE = _object(
    affinity=_object(nodeGroupAffinity=_NODE_GROUPS, nodeGroupAntiAffinity=_NODE_GROUPS),
    capability=_map(_QUANTITY),
    dequeueStrategy=_enum("fifo", "traverse"),
    deserved=_map(_QUANTITY),
    extendClusters=_list(_object(name=_TEXT, weight=_INT, capacity=_map(_QUANTITY))),
    guarantee=_object(resource=_map(_QUANTITY)),
    parent=_TEXT,
    priority=_INT,
    reclaimable=_FLAG,
    type=_TEXT,
    weight=_INT,
)
_TOPOLOGY = _object(
    highestTierAllowed={"type": "integer"},
    highestTierName=_TEXT,
    mode=_enum("hard", "soft", default="hard"),
)
_POD_GROUP = _object(
    minMember=_INT,
    minResources=_map(_QUANTITY),
    minTaskMember=_map(_INT),
    networkTopology=_TOPOLOGY,
    priorityClassName=_TEXT,
    queue=_TEXT | {"default": "default"},
    subGroupPolicy=_list(
        _object(
            labelSelector=_SELECTOR,
            matchLabelKeys=_list(_TEXT),
            minSubGroups=_INT,
            name=_TEXT,
            networkTopology=_TOPOLOGY,
            subGroupSize=_INT,
        )
    ),
)
VOLCANO = [
    _crd("Queue", "queues", "scheduling.volcano.sh", "v1beta1", "Cluster", _QUEUE),
    _crd("PodGroup", "podgroups", "scheduling.volcano.sh", "v1beta1", "Namespaced", _POD_GROUP),
]


def definitions(own: Sequence[Json]) -> list[Json]:
    """Those of TIPHYS_CRDS where it has them, else ``own``."""
    folder = os.environ.get("TIPHYS_CRDS")
    if not folder:
        return list(own)
    names = {item["metadata"]["name"] for item in own}
    found = {}
    for path in sorted(Path(folder).rglob("*.yaml")):
        for item in yaml.safe_load_all(path.read_text()):
            if item and item.get("kind") == "CustomResourceDefinition" and item["metadata"]["name"] in names:
                item.pop("status", None)
                item["metadata"].setdefault("annotations", {}).setdefault(
                    "api-approved.kubernetes.io", "unapproved, for tests"
                )
                found[item["metadata"]["name"]] = item
    return [found.get(item["metadata"]["name"], item) for item in own]
