"""What is submitted from what is kept: a Workflow that refers to a template, or that of a CronWorkflow.

Source: SubmitWorkflow and util.ApplySubmitOpts of Argo 4.1.2.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from tiphys.argo.time import rfc3339
from tiphys.server.answers import RequestError
from tiphys.server.argo.asked import Asked, not_here, pairs_of
from tiphys.server.argo.uploads import given_artifacts

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject
    from tiphys.jsontypes import Json, JsonObject
    from tiphys.server.desk import Desk

__all__ = ["referring", "submitted"]

_LABEL = "workflows.argoproj.io/"
_KINDS = {
    name: resource
    for resource, names in {
        "workflowtemplates": ("WorkflowTemplate", "workflowtemplate", "workflowtemplates", "wftmpl"),
        "clusterworkflowtemplates": (
            "ClusterWorkflowTemplate",
            "clusterworkflowtemplate",
            "clusterworkflowtemplates",
            "cwftmpl",
        ),
        "cronworkflows": ("CronWorkflow", "cronworkflow", "cronworkflows", "cwf", "cronwf"),
    }.items()
    for name in names
}


def submitted(desk: Desk, asked: Asked) -> tuple[GivenObject, bool, bool]:
    """The Workflow, whether it is only to be shown, and whether only as the API server would keep it.

    Raises RequestError 404 where what it is made of is not there, 400 for an option that cannot be read.
    """
    kind, name = asked.text("resourceKind"), asked.text("resourceName")
    resource = _KINDS.get(kind)
    if resource is None:
        raise RequestError(400, f"Resource kind '{kind}' is not supported for submitting")
    kept = desk.kept[resource].get(name)
    if kept is None:
        raise not_here(resource, name)
    if resource == "cronworkflows":
        made = _scheduled(cast("JsonObject", kept), name)
    else:
        made = referring(name, cluster=resource == "clusterworkflowtemplates")
    options = asked.body.get("submitOptions")
    found = options if isinstance(options, dict) else {}
    _apply(made, found)
    if artifacts := given_artifacts(desk, resource, name, found.get("artifacts")):
        spec = cast("JsonObject", made["spec"])
        spec["arguments"] = {**cast("JsonObject", spec.get("arguments") or {}), "artifacts": artifacts}
    return cast("GivenObject", made), found.get("dryRun") is True, found.get("serverDryRun") is True


def referring(name: str, *, cluster: bool) -> JsonObject:
    """A Workflow that is what a kept template says; ``cluster``: a ClusterWorkflowTemplate."""
    reference: JsonObject = {"name": name, **({"clusterScope": True} if cluster else {})}
    label = f"{_LABEL}{'cluster-' if cluster else ''}workflow-template"
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": f"{name}-", "labels": {label: name}, "annotations": {}},
        "spec": {"workflowTemplateRef": reference},
    }


def _scheduled(cron: JsonObject, name: str) -> JsonObject:
    spec = cast("JsonObject", cron.get("spec") or {})
    told = cast("dict[str, JsonObject]", spec.get("workflowMetadata") or {})
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "generateName": f"{name}-",
            "labels": {**(told.get("labels") or {}), f"{_LABEL}cron-workflow": name},
            "annotations": {
                f"{_LABEL}scheduled-time": rfc3339(time.time()),
                **(told.get("annotations") or {}),
            },
        },
        "spec": {**cast("JsonObject", spec.get("workflowSpec") or {})},
    }


def _apply(made: JsonObject, options: JsonObject) -> None:
    spec, metadata = cast("JsonObject", made["spec"]), cast("JsonObject", made["metadata"])
    for option, key in (
        ("entryPoint", "entrypoint"),
        ("entrypoint", "entrypoint"),
        ("serviceAccount", "serviceAccountName"),
        ("podPriorityClassName", "podPriorityClassName"),
    ):
        if options.get(option):
            spec[key] = options[option]
    if options.get("priority") is not None:
        spec["priority"] = options["priority"]
    for key in ("labels", "annotations"):
        given = str(options.get(key) or "")
        metadata[key] = {**cast("JsonObject", metadata[key]), **_labels(given, key)}
    for key in ("generateName", "name"):
        if options.get(key):
            metadata[key] = options[key]
    if owner := options.get("ownerReference"):
        metadata["ownerReferences"] = [owner]
    given_parameters = dict(pairs_of(options.get("parameters")))
    if given_parameters:
        arguments = dict(cast("JsonObject", spec.get("arguments") or {}))
        before = cast("list[JsonObject]", arguments.get("parameters") or [])
        new: list[Json] = [{"name": name, "value": value} for name, value in given_parameters.items()]
        arguments["parameters"] = [
            *new,
            *(each for each in before if each.get("name") not in given_parameters),
        ]
        spec["arguments"] = arguments


def _labels(text: str, key: str) -> dict[str, str]:
    found = {}
    for each in filter(None, text.split(",")):
        name, equals, value = each.partition("=")
        if not equals:
            raise RequestError(
                400, f"expected {key} of the form: NAME1=VALUE2,NAME2=VALUE2. Received: {text}"
            )
        found[name] = value
    return found
