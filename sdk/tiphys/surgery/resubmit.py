"""A new workflow from an old one: with the same spec, or with what had succeeded in it, too."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from tiphys.surgery.arguments import LABELS, as_before, override
from tiphys.surgery.retry import retried

__all__ = ["memoized", "resubmitted"]

Workflow = dict[str, Any]


def resubmitted(workflow: Workflow, *, parameters: Mapping[str, str] | None = None) -> Workflow:
    """A new workflow with the same spec, named after the old one."""
    metadata = workflow["metadata"]
    own = ("creator", "workflow-template", "cluster-workflow-template", "cron-workflow")
    labels = {
        key: value
        for key, value in (metadata.get("labels") or {}).items()
        if not key.startswith(LABELS) or key.removeprefix(LABELS) in own
    }
    labels[LABELS + "resubmitted-from-workflow"] = metadata["name"]
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if not key.startswith((LABELS + "pod-name-format", "kubectl.kubernetes.io/"))
    }
    result: Workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "generateName": metadata.get("generateName") or f"{metadata['name']}-",
            "labels": labels,
            "annotations": annotations,
        },
        "spec": copy.deepcopy(workflow["spec"]),
    }
    if metadata.get("namespace"):
        result["metadata"]["namespace"] = metadata["namespace"]
    as_before(result)
    override(result, parameters or {})
    return result


def memoized(
    workflow: Workflow,
    suffix: str,
    now: str,
    node_id: Callable[[str, str], str],
    *,
    parameters: Mapping[str, str] | None = None,
) -> Workflow:
    """The new workflow with what had succeeded in the old one: `argo resubmit --memoized`.

    What is kept is what a retry keeps (:func:`retried`); it moves into a new workflow, where a pod that succeeded is a
    Skipped node whose message names the old one, as Argo writes it. Argo 4.1.2 itself resets more: a node that a
    ``when`` had skipped becomes Pending there, and the new run waits for it for ever.

    Parameters
    ----------
    suffix:
        Ends the new name: the IDs of nodes hold it, so that Kubernetes cannot make it up.
    node_id:
        The ID of a node from the workflow's name and its own.

    Raises
    ------
    ImpossibleError
        The workflow did not end as Failed or Error.
    """
    kept, _ = retried(workflow, now)
    result = resubmitted(workflow, parameters=parameters)
    old, new = workflow["metadata"]["name"], f"{result['metadata'].pop('generateName')}{suffix}"
    result["metadata"]["name"] = new

    def renamed(name: str) -> str:
        return new + name.removeprefix(old)

    before: dict[str, dict[str, Any]] = kept["status"].get("nodes") or {}
    identities = {identity: node_id(new, renamed(node["name"])) for identity, node in before.items()}
    after = {}
    for identity, node in before.items():
        moved = {**node, "id": identities[identity], "name": renamed(node["name"])}
        if node["name"] == old:
            moved["displayName"] = new
        if node.get("boundaryID"):
            moved["boundaryID"] = identities.get(node["boundaryID"], new)
        for key in ("children", "outboundNodes"):
            if node.get(key):
                moved[key] = [identities[child] for child in node[key] if child in identities]
        if node["type"] == "Pod":
            moved |= {"type": "Skipped", "phase": "Skipped", "message": f"original pod: {identity}"}
            moved |= {"startedAt": now, "finishedAt": now}
        after[moved["id"]] = moved
    result["status"] = {"nodes": after, "conditions": [{"type": "Completed", "status": "False"}]}
    stored = workflow["status"].get("storedTemplates")
    if stored:
        result["status"]["storedTemplates"] = stored
    return result
