"""The whole planned graph of a workflow, drawn before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from tiphys.errors import RefusedError, did_you_mean
from tiphys.graph.html import html
from tiphys.graph.mermaid import mermaid
from tiphys.graph.model import Badge, Edge, Group, PlannedGraph, PlannedItem, plan
from tiphys.graph.svg import svg

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow

__all__ = ["Badge", "Edge", "Group", "PlannedGraph", "PlannedItem", "plan", "render"]

_FORMATS = {"mermaid": mermaid, "svg": svg, "html": html}
_KINDS = ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow")


def render(workflow: object, format: Literal["mermaid", "svg", "html"] = "mermaid") -> str:
    """Draw ``workflow`` (a Pipeline, a Hera workflow, a mapping or a path) as text of the given format.

    Nested DAGs and steps are drawn inside their tasks, conditions, loops, caches, locks and retries as marks,
    the exit handler below. SVG and HTML are self-contained. Raises RefusedError: TIP250 when there is
    nothing to draw, TIP251 for an unknown format, TIP298 for what is none of its kind.
    """
    draw = _FORMATS.get(format)
    if draw is None:
        raise RefusedError(
            "TIP251",
            f"there is no format {format!r}.{did_you_mean(str(format), _FORMATS)}",
            fix=f"formats are: {', '.join(_FORMATS)}",
        )
    from tiphys.argo.decode import as_stored, check_types
    from tiphys.compiler.compile import documents

    found = [d for d in documents(workflow) if d.get("kind") in _KINDS]
    if not found:
        raise RefusedError(
            "TIP250", "there is no workflow to draw", fix=f"give one of kind {', '.join(_KINDS)}"
        )
    check_types(found[0], found[0]["kind"])
    return draw(plan(as_stored(cast("Workflow", found[0]))))
