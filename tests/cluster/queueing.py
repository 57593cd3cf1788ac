"""The custom resources of Kueue and Volcano that the overlays use, as CustomResourceDefinitions.

Neither project publishes its definitions where a test could fetch them (they are not on PyPI, npm, Maven Central or
Debian). What stands here was compared by hand, field by field, on 2026-11-21 with

- Kueue, `config/components/crd/bases/` of kubernetes-sigs/kueue: clusterqueues at commit 00b014c1 (the line of
  release 0.15, which brought v1beta2), localqueues (v1beta2 in Go at 02bc146f, v1beta1 at 60c45b3b), resourceflavors at
  0f0418f3, workloadpriorityclasses at 014868ba;
- Volcano, `config/crd/volcano/bases/` of volcano-sh/volcano: queues at 038b64a8 and 8855142c, podgroups at 096235e1
  and a8913439.

All fields of each spec are here with their types, enumerations, bounds and defaults, and the rules between fields;
what only describes, prints or reports (status) is left out. With TIPHYS_CRDS=FOLDER the tests take the definitions of
the projects themselves: FOLDER holds the YAML files of one or both of the directories above.
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
        admissionChecks=_list(_object(("name",), name=_TEXT | {"maxLength": 316}, onFlavors=_list(_DNS)))
    ),
    admissionScope=_object(("admissionMode",), admissionMode=_TEXT),
    cohortName=_DNS,
    excludeResourcePrefixes=_list(_TEXT | {"maxLength": 256, "minLength": 1}, 64),
    fairSharing=_FAIR,
    flavorFungibility=_object(
        whenCanBorrow=_enum("MayStopSearch", "TryNextFlavor", "Borrow", default="MayStopSearch"),
        whenCanPreempt=_enum("MayStopSearch", "TryNextFlavor", "Preempt", default="TryNextFlavor"),
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
    wallTimePolicy=_object(
        ("wallTimeAllocatedHours",),
        wallTimeAllocatedHours=_INT | {"minimum": 1},
        actionWhenWallTimeExhausted=_enum("Hold", "HoldAndDrain", default="Hold"),
    ),
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
    deserved=_map(_QUANTITY),
    extendClusters=_list(_object(name=_TEXT, weight=_INT, capacity=_map(_QUANTITY))),
    guarantee=_object(resource=_map(_QUANTITY)),
    parent=_TEXT,
    priority=_INT,
    reclaimable=_FLAG,
    type=_TEXT,
    weight=_INT,
)
_POD_GROUP = _object(
    minMember=_INT,
    minResources=_map(_QUANTITY),
    minTaskMember=_map(_INT),
    networkTopology=_object(
        highestTierAllowed={"type": "integer", "default": 1}, mode=_enum("hard", "soft", default="hard")
    ),
    preemptable=_FLAG,
    priorityClassName=_TEXT,
    queue=_TEXT | {"default": "default"},
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
