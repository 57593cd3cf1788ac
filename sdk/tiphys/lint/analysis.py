"""What several rules need and is worth computing once for each object."""

from __future__ import annotations

from tiphys.lint.model import WorkflowView
from tiphys.lint.walk import Walk

__all__ = ["walk_of"]


def walk_of(workflow: WorkflowView) -> Walk:
    """The walk through the workflow, made on first use."""
    found = workflow.cache.get("walk")
    if not isinstance(found, Walk):
        found = workflow.cache["walk"] = Walk(workflow, workflow.project)
    return found
