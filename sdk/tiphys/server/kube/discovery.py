"""What the API server says of itself: its version, its groups, and the resources in them.

A client asks for the resources of each group that it is told of, so only those are named that can be asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiphys._version import __version__

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = [
    "ABSENT",
    "ARGO",
    "CORE",
    "ApiResource",
    "api_groups",
    "api_versions",
    "group",
    "resources",
    "version",
]

_KUBERNETES = (1, 31)  # whose behaviour the answers have


class ApiResource(NamedTuple):
    """One resource of a group. ``namespaced``: its objects are in a namespace."""

    name: str
    kind: str
    short: tuple[str, ...] = ()
    namespaced: bool = True
    verbs: tuple[str, ...] = ("get", "list", "watch")


_CHANGED = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_ABSENT = ("deletecollection", "get", "list", "watch")

ARGO = (
    ApiResource("workflows", "Workflow", ("wf",), verbs=_CHANGED),
    ApiResource("workflowtemplates", "WorkflowTemplate", ("wftmpl",), verbs=_CHANGED),
    ApiResource(
        "clusterworkflowtemplates",
        "ClusterWorkflowTemplate",
        ("clusterwftmpl", "cwft"),
        namespaced=False,
        verbs=_CHANGED,
    ),
    ApiResource("cronworkflows", "CronWorkflow", ("cwf", "cronwf"), verbs=_CHANGED),
    ApiResource("workfloweventbindings", "WorkflowEventBinding", ("wfeb",), verbs=_CHANGED),
    ApiResource("eventsources", "EventSource", verbs=_ABSENT),
    ApiResource("sensors", "Sensor", verbs=_ABSENT),
)
CORE = (
    ApiResource("namespaces", "Namespace", ("ns",), namespaced=False, verbs=("get", "list")),
    ApiResource(
        "pods", "Pod", ("po",), verbs=("delete", "deletecollection", "get", "list", "patch", "watch")
    ),
    ApiResource("pods/log", "Pod", verbs=("get",)),
    ApiResource("events", "Event", ("ev",)),
    ApiResource("configmaps", "ConfigMap", ("cm",), verbs=_CHANGED),
    ApiResource("resourcequotas", "ResourceQuota", ("quota",), verbs=_ABSENT),
)
ABSENT = tuple(each for each in (*ARGO, *CORE) if each.verbs == _ABSENT)
"""Those of which a store has none: lists of them are empty."""


def version() -> JsonObject:
    """Kubernetes' ``version.Info``."""
    major, minor = _KUBERNETES
    return {
        "major": str(major),
        "minor": str(minor),
        "gitVersion": f"v{major}.{minor}.0+tiphys.{__version__}",
        "platform": "linux/amd64",
    }


def api_versions() -> JsonObject:
    """The versions of the core group."""
    return {"kind": "APIVersions", "versions": ["v1"]}


def group() -> JsonObject:
    """Argo's group."""
    known: Json = {"groupVersion": "argoproj.io/v1alpha1", "version": "v1alpha1"}
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": "argoproj.io",
        "versions": [known],
        "preferredVersion": known,
    }


def api_groups() -> JsonObject:
    """All groups but the core's."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]}


def resources(group_version: str, known: tuple[ApiResource, ...]) -> JsonObject:
    """The resources of a group."""
    listed: list[Json] = [
        {
            "name": each.name,
            "singularName": "" if "/" in each.name else each.kind.lower(),
            "namespaced": each.namespaced,
            "kind": each.kind,
            "verbs": [*each.verbs],
            **({"shortNames": [*each.short]} if each.short else {}),
        }
        for each in known
    ]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": listed,
    }
