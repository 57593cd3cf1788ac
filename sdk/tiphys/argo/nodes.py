"""The nodes of ``status.nodes``: their types, their phases, and which of them are steps to a person.

Source: argo-workflows v4.1.2, pkg/apis/workflow/v1alpha1/workflow_types.go (NodeType, NodePhase),
workflow/util/util.go (retry), workflow/progress (what counts as work).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.errors import RunError, did_you_mean
from tiphys.lazy import regex
from tiphys.verbatim import rejoined

if TYPE_CHECKING:
    from tiphys.argo.types import Node, Outputs, Workflow

__all__ = [
    "ACTIVE",
    "BUNDLES",
    "COMPLETED",
    "COUNTED",
    "ENDED",
    "EXECUTES",
    "FAILED",
    "GOOD",
    "GROUPS",
    "HOLDERS",
    "PAID",
    "WORK",
    "is_hit",
    "is_step",
    "label",
    "origin",
    "outputs_of",
    "state",
    "template_name",
    "texts",
]

# -- phases ---------------------------------------------------------------------------------------------------------

ACTIVE = frozenset(["Pending", "Running"])
FAILED = frozenset(["Failed", "Error"])
COMPLETED = FAILED | {"Succeeded"}
"""Of a node that was executed, and of a workflow."""
GOOD = frozenset(["Succeeded", "Skipped", "Omitted"])
ENDED = COMPLETED | GOOD
"""Every phase that a node does not leave."""

# -- types ----------------------------------------------------------------------------------------------------------

BUNDLES = frozenset(["StepGroup", "TaskGroup"])
"""Made by no template: they only hold others together, and no tree shows them."""
GROUPS = BUNDLES | {"DAG", "Steps"}
HOLDERS = GROUPS | {"Retry"}
"""Everything whose own work is that of other nodes."""
EXECUTES = frozenset(["Pod", "Container", "HTTP", "Plugin"])
WORK = EXECUTES | {"Suspend"}
"""What has a progress of its own."""
PAID = frozenset(["Pod", "Retry"])
"""What has pods of its own, or stands for those of its attempts."""
COUNTED = frozenset(["Pod", "Steps", "DAG"])
"""What a template's ``parallelism`` counts."""
_RUN = regex(r"\.run(\(\d+\))?\Z")
_STEPS = frozenset(["Pod", "HTTP", "Plugin", "Suspend", "Skipped", "Retry"])


def is_hit(node: Node) -> bool:
    """Whether the node was taken from a memoization cache."""
    return bool((node.get("memoizationStatus") or {}).get("hit"))


def is_step(node: Node) -> bool:
    """Whether the node is a step to a person; wherever steps are counted, these are.

    That is one that does work itself, the retry node above its attempts, or whatever was taken from the cache.
    """
    if (node.get("nodeFlag") or {}).get("retried"):
        return False
    return node.get("type") in _STEPS or is_hit(node)


def state(node: Node) -> str:
    """The phase in a word; ``hit`` for a step taken from the cache."""
    return "hit" if is_hit(node) else str(node.get("phase", ""))


def template_name(node: Node) -> str:
    """The template of a node, the workflow's own or another's."""
    return str(node.get("templateName") or (node.get("templateRef") or {}).get("template") or "")


def label(node: Node, workflow: str) -> str:
    """The node's name without the workflow's: ``cnn.train``.

    A cached step that may be tried again is compiled to a DAG with one task ``run``, whose template is ``NAME-run``: to
    a person they are one.
    """
    path = str(node.get("name", "")).removeprefix(workflow).lstrip(".")
    if template_name(node).endswith("-run"):
        path = _RUN.sub(r"\1", path)
    return path if path and not path.startswith("(") else workflow + path


def origin(node: Node, workflow: str) -> str:
    """The :func:`label` of what wrote a log: the first attempt has the name of its step."""
    return label(node, workflow).removesuffix("(0)")


def outputs_of(workflow: Workflow, step: str) -> dict[str, str]:
    """The output parameters of the step that has this :func:`label`, as its component returned them.

    Raises RunError TIP209 where the workflow has no such step.
    """
    name = workflow["metadata"].get("name", "")
    nodes = [*((workflow.get("status") or {}).get("nodes") or {}).values()]
    labels = {label(node, name): node for node in nodes if not (node.get("nodeFlag") or {}).get("retried")}
    if step not in labels:
        raise RunError(
            "TIP209",
            f"{name} has no step {step!r}.{did_you_mean(step, labels)}",
            fix=f"its steps are: {', '.join(sorted(each for each in labels if each != name))}",
        )
    return texts(labels[step].get("outputs"))


def texts(outputs: Outputs | None) -> dict[str, str]:
    """Output parameters as a component returned them."""
    found = (outputs or {}).get("parameters") or []
    return {each["name"]: rejoined(str(each.get("value", ""))) for each in found}
