"""What retry and resubmit both change in a spec."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow, WorkflowSpec

__all__ = ["LABELS", "as_before", "given_parameters", "override"]

LABELS = "workflows.argoproj.io/"


def as_before(workflow: Workflow) -> None:
    """Take back what stop, terminate and suspend wrote into the spec."""
    workflow["spec"].pop("shutdown", None)
    workflow["spec"].pop("suspend", None)


def override(workflow: Workflow, parameters: Mapping[str, str]) -> None:
    """Set parameters of the spec, and of the template's spec that the workflow was made from."""
    if not parameters:
        return
    arguments = workflow["spec"].setdefault("arguments", {})
    listed = arguments.setdefault("parameters", [])
    for key, value in parameters.items():
        found = next((item for item in listed if item["name"] == key), None)
        if found is None:
            listed.append({"name": key, "value": value})
        else:
            found["value"] = value
            found.pop("valueFrom", None)
    stored = (workflow.get("status") or {}).get("storedWorkflowTemplateSpec")
    if stored:
        override({"spec": stored}, parameters)


def given_parameters(workflow: Workflow, parameters: Mapping[str, str]) -> Workflow:
    """The workflow as `argo submit -p` writes it: with the values of the parameters that it declares."""
    listed = ((workflow.get("spec") or {}).get("arguments") or {}).get("parameters") or []
    names = (str(item.get("name")) for item in listed)
    known = {name: parameters[name] for name in names if name in parameters}
    if not known:
        return workflow.copy()
    spec: WorkflowSpec = {**workflow["spec"], "arguments": copy.deepcopy(workflow["spec"]["arguments"])}
    made: Workflow = {**workflow, "spec": spec}
    override(made, known)
    return made
