"""One task of a running DAG, and what ``depends`` may ask of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.engine.machine.bodies.call import Call

if TYPE_CHECKING:
    from tiphys.argo.types import DAGTask, Node


__all__ = ["DagTask", "task_results"]


class DagTask:
    """A task that has begun: its node (a TaskGroup for loops) and its children that have not ended."""

    __slots__ = (
        "children",
        "done",
        "held",
        "late",
        "made",
        "name",
        "node",
        "order",
        "pending",
        "stopped",
        "task",
        "walk",
    )

    def __init__(self, name: str, task: DAGTask, walk: int) -> None:
        self.name = name
        self.walk = walk  # the event in which it began
        self.made = -1  # the event in which its node was created
        self.late = False  # what waited for it has been told already
        self.task = task
        self.node: Node | None = None
        self.children: list[Node] | None = None
        self.order: dict[str, int] = {}  # of a loop: the index of each child by its node's name
        self.pending = 0
        self.done = False
        self.stopped = False  # an item could not be executed: those after it wait for the next walk
        self.held: list[Call] = []


def task_results(begun: DagTask | None) -> dict[str, bool]:
    """Return what ``depends`` may ask of a task."""
    node = begun.node if begun is not None else None
    phase = node["phase"] if node is not None else ""
    any_succeeded = all_failed = False
    if begun is not None and begun.children is not None:
        phases = [child["phase"] for child in begun.children]
        any_succeeded = "Succeeded" in phases
        all_failed = bool(phases) and all(other == "Failed" for other in phases)
    return {
        "Succeeded": phase == "Succeeded",
        "Failed": phase == "Failed",
        "Errored": phase == "Error",
        "Skipped": phase == "Skipped",
        "Omitted": phase == "Omitted",
        "Daemoned": bool(node and node.get("daemoned")) and phase != "Pending",
        "AnySucceeded": any_succeeded,
        "AllFailed": all_failed,
    }
