"""Resubmitting a run that failed with what had succeeded in it: `argo resubmit --memoized`, with no server.

What is kept is what a retry keeps (:func:`tiphys.cluster.surgery.retried`); it moves into a new workflow, where a pod
that succeeded is a Skipped node whose message names the old one, as Argo writes it. Argo 4.1.2 itself resets more: a
node that a ``when`` had skipped becomes Pending there, and the new run waits for it for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.cluster.backend import Workflow
from tiphys.cluster.surgery import resubmitted, retried
from tiphys.engine.core.names import node_id

__all__ = ["memoized"]


def memoized(
    workflow: Workflow, suffix: str, now: str, *, parameters: Mapping[str, str] | None = None
) -> Workflow:
    """The new workflow, with its nodes. ``suffix`` ends its name: the IDs of nodes hold it, so that Kubernetes cannot
    make it up. Raises ClusterError TIP612 for a run that did not end as Failed or Error."""
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
