"""From what a user gives (YAML, Python, Hera objects) to the objects that are sent to a cluster."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from tiphys.argo.any_string import any_string
from tiphys.argo.cache_mode import CacheMode, with_cache_mode
from tiphys.argo.parameters import as_text, check
from tiphys.errors import ClusterError, RefusedError
from tiphys.runs.made_from import with_annotations

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.argo.types import CronWorkflow, GivenObject, Workflow, WorkflowSpec

__all__ = ["Submission", "prepare"]

_PREFIX_LENGTH = (
    38  # 63 for a label value, less 5 random characters and "-batch-norm-worker-0" for a TFJob's pods
)
_TEXT_LISTS = {"args", "command", "flags"}


@dataclass(frozen=True)
class Submission:
    """What one submission sends: the workflow, and the semaphore limits it needs ({ConfigMap: {key:
    limit}})."""

    workflow: Workflow
    limits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def prepare(
    source: object,
    *,
    parameters: Mapping[str, object] | None = None,
    name: str = "",
    labels: Mapping[str, str] | None = None,
    service_account: str = "",
    priority: int | None = None,
    entrypoint: str = "",
    cache: CacheMode = "auto",
    made_from: Mapping[str, str] | None = None,
) -> Submission:
    """Read ``source`` and make it ready: parameters checked and set, a name that does not collide.

    ``source`` is a path to YAML or to a pipeline's ``.py``, YAML text, ``module:object``, a mapping, or any
    Hera workflow. A workflow with a fixed name gets it as a prefix instead, so that a second run does not
    collide with the first; ``name`` sets a fixed one.

    ``cache``: see :func:`tiphys.argo.cache_mode.with_cache_mode`; ``made_from``: :mod:`tiphys.runs.made_from`.

    Raises RefusedError for a wrong parameter, an unreadable source or an object that is none of its kind, ClusterError
    TIP610 when there is not exactly one workflow.
    """
    workflow, limits = _split(_documents(source))
    given = {key: as_text(value) for key, value in (parameters or {}).items()}
    check(workflow, given)
    workflow, _ = with_cache_mode(workflow, cache)
    _set_parameters(workflow, given)
    strings(workflow)
    if made_from:
        workflow = with_annotations(workflow, made_from)
    _name(workflow, name)
    metadata, spec = workflow["metadata"], workflow["spec"]
    if labels:
        metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    if service_account:
        spec["serviceAccountName"] = service_account
    if priority is not None:
        spec["priority"] = priority
    if entrypoint:
        spec["entrypoint"] = entrypoint
    return Submission(workflow, limits)


def _documents(source: object) -> list[object]:
    from tiphys.argo.reader import read

    if isinstance(source, Mapping):
        return [copy.deepcopy(dict(source))]
    if isinstance(source, (list, tuple)) and all(isinstance(item, Mapping) for item in source):
        return [copy.deepcopy(dict(item)) for item in source]
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        if "\n" in text or text.lstrip().startswith("{") or text.endswith((".yaml", ".yml", ".json")):
            return [copy.deepcopy(document.data) for document in read(text)]
    from tiphys.compiler.compile import to_yaml

    return [document.data for document in read(to_yaml(source))]


def _split(documents: Sequence[object]) -> tuple[Workflow, dict[str, dict[str, str]]]:
    from tiphys.argo.decode import check_types
    from tiphys.compiler.source import RUNNABLE

    workflows: list[Workflow] = []
    limits: dict[str, dict[str, str]] = {}
    for document in documents:
        if not isinstance(document, Mapping):
            raise ClusterError("TIP610", "a document is not an object", fix="give the YAML of a Workflow")
        kind = document.get("kind")
        if kind != "ConfigMap" and kind not in RUNNABLE:
            raise ClusterError(
                "TIP610",
                f"cannot submit an object of kind {kind!r}",
                fix="give a Workflow; other objects are for `kubectl apply`",
            )
        check_types(document, kind)
        if kind == "ConfigMap":
            name, values = _limits(cast("GivenObject", document))
            limits[name] = values
        elif kind == "Workflow":
            workflows.append(cast("Workflow", dict(document)))
        elif kind == "CronWorkflow":
            workflows.append(_from_cron(cast("CronWorkflow", document)))
        else:
            workflows.append(_from_template(cast("GivenObject", document)))
    if len(workflows) != 1:
        raise ClusterError(
            "TIP610",
            f"there must be one workflow, and there are {len(workflows)}",
            fix="submit one file after the other",
        )
    workflow = workflows[0]
    workflow["metadata"] = workflow.get("metadata") or {}
    _spec(workflow.get("spec"))
    workflow.pop("status", None)
    return workflow, limits


def _limits(document: GivenObject) -> tuple[str, dict[str, str]]:
    """The name of a ConfigMap and the limits that it holds."""
    name = (document.get("metadata") or {}).get("name")
    if not name:
        raise ClusterError("TIP610", "a ConfigMap has no name", fix="give it metadata.name")
    return name, {str(key): str(value) for key, value in (document.get("data") or {}).items()}


def _from_template(document: GivenObject) -> Workflow:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": _named_after(document),
        "spec": copy.deepcopy(_spec(document.get("spec"))),
    }


def _from_cron(document: CronWorkflow) -> Workflow:
    spec = document.get("spec") or {}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {**(spec.get("workflowMetadata") or {}), **_named_after(document)},
        "spec": copy.deepcopy(_spec(spec.get("workflowSpec"))),
    }


def _named_after(document: GivenObject | CronWorkflow) -> ObjectMeta:
    name = (document.get("metadata") or {}).get("name")
    return {"generateName": f"{name}-"} if name else {}


def _spec(found: WorkflowSpec | None) -> WorkflowSpec:
    if found is None:
        raise RefusedError("TIP208", "the workflow has no spec", fix="see `tiphys lint`")
    return found


def _set_parameters(workflow: Workflow, given: Mapping[str, str]) -> None:
    if not given:
        return
    arguments = workflow["spec"]["arguments"] = workflow["spec"].get("arguments") or {}
    listed = arguments["parameters"] = arguments.get("parameters") or []
    for key, value in given.items():
        found = next((item for item in listed if item and item.get("name") == key), None)
        if found is None:
            listed.append({"name": key, "value": value})
        else:
            found["value"] = value
            found.pop("valueFrom", None)


def _name(workflow: Workflow, name: str) -> None:
    metadata = workflow["metadata"]
    if name:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", name):
            raise ClusterError(
                "TIP610",
                f"{name!r} is not a name for a workflow",
                fix="use at most 63 lower-case letters, digits and '-', a letter or digit first and last",
            )
        metadata.pop("generateName", None)
        metadata["name"] = name
        return
    prefix = str(
        metadata.pop("name", "")
        or metadata.get("generateName")
        or workflow["spec"].get("entrypoint")
        or "workflow"
    )
    prefix = re.sub(r"[^a-z0-9-]+", "-", prefix.lower()).strip("-") or "workflow"
    if not prefix[0].isalpha():  # a TFJob named after it must start with a letter
        prefix = f"w-{prefix}"
    metadata["generateName"] = prefix[:_PREFIX_LENGTH].rstrip("-") + "-"


def strings(value: object) -> None:
    """Quote, in place, what Argo types as a string and YAML read as a number or a boolean.

    The Argo Server does so by itself; straight to the Kubernetes API a number as a parameter's value would
    crash the controller of Argo 4.1.2 ("cannot convert int64 to string") until the object is deleted.
    """
    if isinstance(value, list):
        for item in value:
            strings(item)
        return
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key in ("labels", "annotations", "nodeSelector", "matchLabels") and isinstance(item, dict):
            value[key] = {name: _scalar(text) for name, text in item.items()}
        elif key in _TEXT_LISTS and isinstance(item, list):
            value[key] = [_scalar(text) for text in item]
        elif key in ("parameters", "env") and isinstance(item, list):
            for entry in item:
                if not isinstance(entry, dict):
                    continue
                for part in ("value", "default"):
                    if part in entry:
                        entry[part] = _scalar(entry[part])
                if isinstance(entry.get("enum"), list):
                    entry["enum"] = [_scalar(text) for text in entry["enum"]]
                if isinstance(entry.get("valueFrom"), dict) and "default" in entry["valueFrom"]:
                    entry["valueFrom"]["default"] = _scalar(entry["valueFrom"]["default"])
        else:
            strings(item)


def _scalar(value: object) -> object:
    return any_string(value) if isinstance(value, (bool, int, float)) else value
