"""Nodes of large workflows, which Argo keeps as base64 of gzip."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, cast

from tiphys.errors import ClusterError

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow, WorkflowStatus


__all__ = ["packed", "unpacked"]


def unpacked(workflow: Workflow) -> Workflow:
    """The workflow with its nodes readable: large ones are kept as base64 of gzip.

    Raises ClusterError TIP611 when the nodes are kept in the server's database.
    """
    status = workflow.get("status") or {}
    if status.get("offloadNodeStatusVersion"):
        raise ClusterError(
            "TIP611",
            f"the nodes of {workflow['metadata']['name']} are kept in the Argo Server's database",
            fix="use the Argo Server (--server or ARGO_SERVER)",
        )
    if not status.get("compressedNodes"):
        return workflow
    nodes = json.loads(gzip.decompress(base64.b64decode(status["compressedNodes"])))
    kept = {k: v for k, v in status.items() if k != "compressedNodes"}
    return {**workflow, "status": cast("WorkflowStatus", {**kept, "nodes": nodes})}


def packed(workflow: Workflow) -> Workflow:
    """The inverse of :func:`unpacked`, for writing back."""
    status = workflow["status"]
    text = base64.b64encode(gzip.compress(json.dumps(status.get("nodes") or {}).encode())).decode()
    kept = {k: v for k, v in status.items() if k != "nodes"}
    return {**workflow, "status": cast("WorkflowStatus", {**kept, "compressedNodes": text})}
