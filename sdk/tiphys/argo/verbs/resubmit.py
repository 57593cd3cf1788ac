"""A new workflow from an old one: with the same spec, or with what had succeeded in it, too."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.argo.names import NodeIDs
from tiphys.argo.nodes import GOOD, GROUPS
from tiphys.argo.verbs.arguments import LABELS, as_before, override
from tiphys.argo.verbs.problem import ImpossibleError

if TYPE_CHECKING:
    from tiphys.argo.types import Node, Workflow


__all__ = ["memoized", "resubmitted"]


_OF_ONE_RUN = (
    "creator",
    "creator-email",
    "creator-preferred-username",
    "phase",
    "completed",
    "workflow-archiving-status",
)
"""Labels of Argo's that say something of one run, or of who submitted it."""


def resubmitted(workflow: Workflow, *, parameters: Mapping[str, str] | None = None) -> Workflow:
    """A new workflow with the same spec, labels and owners, named after the old one.

    Source: FormulateResubmitWorkflow of Argo 4.0.5.
    """
    metadata = workflow["metadata"]
    labels = {
        key: value
        for key, value in (metadata.get("labels") or {}).items()
        if not key.startswith(LABELS) or key.removeprefix(LABELS) not in _OF_ONE_RUN
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
    if metadata.get("ownerReferences"):
        result["metadata"]["ownerReferences"] = copy.deepcopy(metadata["ownerReferences"])
    if metadata.get("namespace"):
        result["metadata"]["namespace"] = metadata["namespace"]
    as_before(result)
    override(result, parameters or {})
    return result


def memoized(
    workflow: Workflow,
    suffix: str,
    now: str,
    *,
    parameters: Mapping[str, str] | None = None,
) -> Workflow:
    """The new workflow with what had succeeded in the old one: `argo resubmit --memoized`.

    A pod that succeeded is a Skipped node whose message names the old one; what failed, was skipped with nothing after
    it or waited for a person is done again, and groups are gone through again. Pods that failed are Pending, and done
    again in place, which keeps their ``templateScope``. Argo 4.1.2 writes the same nodes, but keeps all that is done
    again as Pending, some of which it then waits for without end: items of loops, attempts, suspended steps.

    Parameters
    ----------
    suffix:
        Ends the new name: the IDs of nodes hold it, so that Kubernetes cannot make it up.

    Raises
    ------
    ImpossibleError
        The workflow did not end as Failed or Error.
    """
    old, status = workflow["metadata"]["name"], workflow.get("status") or {}
    if status.get("phase") not in ("Failed", "Error"):
        raise ImpossibleError(
            f"{old} cannot be resubmitted with what succeeded: it is {status.get('phase') or 'not started'}",
            cause="there is something to take over only when it ended as Failed or Error",
            fix="resubmit it without --memoized",
        )
    result = resubmitted(workflow, parameters=parameters)
    new = f"{result['metadata'].pop('generateName')}{suffix}"
    result["metadata"]["name"] = new

    def renamed(name: str) -> str:
        return new + name.removeprefix(old)

    before = status.get("nodes") or {}
    kept = {identity for identity in before if _kept(before, identity, old)}
    ids = NodeIDs(new)
    identities = {
        identity: ids.take(renamed(node["name"])) for identity, node in before.items() if identity in kept
    }
    after: dict[str, Node] = {}
    for identity, node in before.items():
        if identity not in kept:
            continue
        moved: Node = {**node, "id": identities[identity], "name": renamed(node["name"])}
        if node.get("boundaryID"):
            moved["boundaryID"] = identities.get(node["boundaryID"], new)
        if node.get("children"):
            moved["children"] = [identities[child] for child in node["children"] if child in kept]
        if node.get("outboundNodes"):
            moved["outboundNodes"] = [identities[child] for child in node["outboundNodes"] if child in kept]
        if node["type"] == "Pod" and node.get("phase") in GOOD:
            moved |= {"type": "Skipped", "phase": "Skipped", "message": f"original pod: {identity}"}
            moved |= {"startedAt": now, "finishedAt": now}
        elif node["type"] not in GROUPS and (node["name"] == old or _again(before, identity)):
            _open(moved, "Pending", now)
            moved.pop("progress", None)
        elif node["type"] in GROUPS:
            _open(moved, "Running", now)
        after[moved["id"]] = moved
    result["status"] = {"nodes": after, "conditions": [{"type": "Completed", "status": "False"}]}
    if status.get("storedTemplates"):
        result["status"]["storedTemplates"] = status["storedTemplates"]
    return result


def _kept(nodes: Mapping[str, Node], identity: str, workflow: str) -> bool:
    node = nodes[identity]
    kind = node["type"]
    if str(node["name"]).startswith(f"{workflow}.onExit"):
        return False
    if _again(nodes, identity):
        return True
    if kind in GROUPS or (node["name"] == workflow and kind == "Pod"):
        return True
    if kind in ("Pod", "Retry", "Container"):
        return node.get("phase") in GOOD
    return kind == "Skipped" and _fruitful(nodes, identity)


def _again(nodes: Mapping[str, Node], identity: str) -> bool:
    """Whether a node is a pod that failed, and is done again in place: it keeps the scope of its first template. The
    attempts of a retry are made anew."""
    node = nodes[identity]
    if node["type"] != "Pod" or node.get("phase") not in ("Failed", "Error"):
        return False
    return not any(
        other["type"] in ("Retry", "TaskGroup") and identity in (other.get("children") or ())
        for other in nodes.values()
    )


def _fruitful(nodes: Mapping[str, Node], identity: str) -> bool:
    """Whether something after a node succeeded."""
    seen: set[str] = set()
    waiting = list(nodes[identity].get("children") or ())
    while waiting:
        child = waiting.pop()
        if child in seen or child not in nodes:
            continue
        seen.add(child)
        if nodes[child].get("phase") == "Succeeded":
            return True
        waiting += nodes[child].get("children") or ()
    return False


def _open(node: Node, phase: str, now: str) -> None:
    node["phase"], node["startedAt"] = phase, now
    node.pop("finishedAt", None)
    node.pop("message", None)
    node.pop("outputs", None)
