"""What Argo removes when a workflow is complete: artifacts with a garbage collection strategy, claims it made."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tiphys.argo.artifacts import key_of
from tiphys.store import Store

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow, WorkflowSpec, WorkflowStatus

__all__ = ["clean_up"]


def clean_up(store: Store, workflow: Workflow, spec: WorkflowSpec) -> None:
    """Delete the keys of artifacts whose strategy is OnWorkflowCompletion, and the claims of
    ``volumeClaimTemplates`` (when the workflow succeeded, or always with OnWorkflowCompletion).

    The files behind the keys stay until ``tiphys cache gc``: other keys may name them.
    """
    status: WorkflowStatus = workflow.get("status") or {}
    strategy = str((spec.get("artifactGC") or {}).get("strategy") or "")
    for node in (status.get("nodes") or {}).values():
        for artifact in (node.get("outputs") or {}).get("artifacts") or []:
            own = str((artifact.get("artifactGC") or {}).get("strategy") or strategy)
            if own == "OnWorkflowCompletion" and (key := key_of(artifact)):
                store.bucket.delete(key)
    when = str((spec.get("volumeClaimGC") or {}).get("strategy") or "OnWorkflowSuccess")
    if when == "OnWorkflowCompletion" or status.get("phase") == "Succeeded":
        for claim in spec.get("volumeClaimTemplates") or []:
            name = f"{workflow['metadata']['name']}-{claim['metadata']['name']}"
            shutil.rmtree(store.volume(name), ignore_errors=True)
