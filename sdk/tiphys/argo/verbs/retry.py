"""Running again what failed, in the same workflow: Argo 4.1.2's FormulateRetryWorkflow."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from tiphys.argo.nodes import BUNDLES, EXECUTES, FAILED, GROUPS
from tiphys.argo.selectors import matches_node, parse_fields
from tiphys.argo.verbs.arguments import LABELS, as_before, override
from tiphys.argo.verbs.problem import ImpossibleError

if TYPE_CHECKING:
    from tiphys.argo.types import Node, Workflow


__all__ = ["retried"]


def retried(
    workflow: Workflow,
    now: str,
    *,
    parameters: Mapping[str, str] | None = None,
    restart_successful: bool = False,
    selector: str = "",
    again: Collection[str] = (),
    lost: Collection[str] = (),
) -> tuple[Workflow, list[str]]:
    """The workflow made ready to run again from what failed, and the IDs of the nodes whose pods must go.

    Nodes that failed go with everything after them, unless something after them succeeded; what succeeded stays, with
    its outputs. Groups above become Running again. With new parameters the groups of steps and the loops that are
    opened again are made anew. The exit handler runs again.

    Parameters
    ----------
    now:
        RFC 3339, in UTC.
    parameters:
        New values of the workflow's arguments.
    restart_successful, selector:
        With both: what the selector names runs again, too, whatever it ended as.
    again:
        IDs of nodes that run again, too, whatever they ended as.
    lost:
        IDs of nodes whose results are not there any more, with which the same is done.

    Raises
    ------
    SelectorError
        TIP266: ``selector`` is no field selector.
    ImpossibleError
        The workflow has not ended, or it succeeded and nothing is selected.
    """
    wanted = parse_fields(selector)
    name = workflow["metadata"]["name"]
    phase = (workflow.get("status") or {}).get("phase", "")
    if phase not in FAILED and not (phase == "Succeeded" and (again or (restart_successful and selector))):
        raise ImpossibleError(
            f"{name} cannot be retried: it is {phase or 'not started'}",
            cause="a retry continues a run that ended as Failed or Error",
            fix="resubmit it, or give --restart-successful and --node-field-selector"
            if phase == "Succeeded"
            else "wait for its end, or stop it",
        )
    result = copy.deepcopy(workflow)
    nodes: dict[str, Node] = result["status"].get("nodes") or {}
    tree = _Tree(nodes, name)
    chosen = (
        {identity for identity, node in nodes.items() if matches_node(wanted, node)}
        if restart_successful and selector
        else set()
    )
    chosen |= nodes.keys() & again
    chosen |= {tree.whole(identity) for identity in lost}
    chosen |= {identity for identity in nodes if tree.failed(identity, chosen)}
    reset: set[str] = set()
    gone: set[str] = set()
    for identity in tree.order():
        if identity in chosen and identity not in gone:
            tree.open(identity, reset, gone)
    if parameters:
        for identity in reset - gone:
            if nodes[identity]["type"] in BUNDLES:
                gone |= tree.below([identity])
    for identity in reset - gone:
        _reset(nodes[identity], now)
    exits = {identity for identity, node in nodes.items() if str(node["name"]).startswith(f"{name}.onExit")}
    pods = [identity for identity in gone | exits | tree.below(exits) if nodes[identity]["type"] == "Pod"]
    for identity in gone | exits:
        del nodes[identity]
    for node in nodes.values():
        for key in ("children", "outboundNodes"):
            if node.get(key):
                node[key] = [child for child in node[key] if child in nodes]
    _begin_again(result, now, parameters or {})
    return result, sorted(pods)


def _reset(node: Node, now: str) -> None:
    if node["type"] == "Suspend":
        for index, item in enumerate((node.get("outputs") or {}).get("parameters") or ()):
            node["outputs"]["parameters"][index] = {"name": item["name"], "valueFrom": {"supplied": {}}}
    if node.get("phase") != "Skipped":
        node["phase"] = "Running"
    node["startedAt"] = now
    node.pop("finishedAt", None)
    node.pop("message", None)
    if node["type"] in GROUPS:
        node.pop("outputs", None)


def _begin_again(workflow: Workflow, now: str, parameters: Mapping[str, str]) -> None:
    metadata, status = workflow["metadata"], workflow["status"]
    labels = metadata.setdefault("labels", {})
    labels.pop(LABELS + "completed", None)
    labels.pop(LABELS + "workflow-archiving-status", None)
    labels[LABELS + "phase"] = "Running"
    status["phase"], status["startedAt"] = "Running", now
    status["conditions"] = [{"type": "Completed", "status": "False"}]
    status.pop("finishedAt", None)
    status.pop("message", None)
    status.pop("persistentVolumeClaims", None)
    as_before(workflow)
    override(workflow, parameters)
    stored = status.get("storedWorkflowTemplateSpec")
    if stored:
        stored.pop("shutdown", None)


class _Tree:
    """The nodes with the way up: of several parents the one whose ID comes last counts, as in Argo."""

    def __init__(self, nodes: dict[str, Node], name: str) -> None:
        self.nodes = nodes
        self.name = name
        self.parent: dict[str, str] = {}
        self._fruitful: dict[str, bool] = {}
        for identity in sorted(nodes):
            for child in nodes[identity].get("children") or ():
                self.parent[child] = identity

    def order(self) -> list[str]:
        """Breadth first from the root: what is above comes first. The exit handler is not among them."""
        root = next((identity for identity, node in self.nodes.items() if node["name"] == self.name), None)
        found = dict.fromkeys([root] if root is not None else [])
        queue = deque(found)
        while queue:
            for child in self.nodes[queue.popleft()].get("children") or ():
                if child in self.nodes and child not in found:
                    found[child] = None
                    queue.append(child)
        return list(found)

    def below(self, start: Iterable[str]) -> set[str]:
        """Everything that follows, at any depth."""
        found: set[str] = set()
        waiting = list(start)
        while waiting:
            for child in self.nodes[waiting.pop()].get("children") or ():
                if child in self.nodes and child not in found:
                    found.add(child)
                    waiting.append(child)
        return found

    def whole(self, identity: str) -> str:
        """The Retry node of an attempt; of anything else itself."""
        above = self.parent.get(identity, "")
        attempt = (self.nodes[identity].get("nodeFlag") or {}).get("retried")
        return above if attempt and above and self.nodes[above]["type"] == "Retry" else identity

    def failed(self, identity: str, chosen: set[str]) -> bool:
        """Whether a node ran and failed, and nothing after it succeeded (what is chosen does not count). Of an attempt,
        what follows its Retry node is looked at."""
        node = self.nodes[identity]
        if node.get("phase") not in FAILED or node["type"] not in EXECUTES:
            return False
        return not any(
            other not in chosen and self.nodes[other].get("phase") == "Succeeded"
            for other in self.below([self.whole(identity)])
        )

    def open(self, identity: str, reset: set[str], gone: set[str]) -> None:
        """Mark a node and what follows it as gone, and what must be opened again above it."""
        gone |= {identity} | self.below([identity])
        current: str | None = identity
        while current is not None:
            node = self.nodes[current]
            if node["type"] in GROUPS:
                reset.add(current)
                current = self._open_boundaries(current, reset)
                continue
            if node["type"] == "Retry" and node.get("phase") in FAILED:
                reset.add(current)
            elif node["type"] == "Container":
                while self.nodes[current]["type"] != "Pod" and current in self.parent:
                    current = self.parent[current]
                gone |= {current} | self.below([current])
            current = self.parent.get(current)

    def _open_boundaries(self, current: str, reset: set[str]) -> str | None:
        """From a group to the template around it, and so on: what lies between two boundaries stays as it is."""
        while True:
            above = self.parent.get(current)
            if above is not None and self.nodes[above]["type"] == "Retry":
                reset.add(above)
                current = above
                above = self.parent.get(current)
            if above is not None and self.nodes[above]["type"] in BUNDLES:
                reset.add(above)
            boundary = self.nodes[current].get("boundaryID")
            if not boundary:
                return above
            step: str | None = current
            while step is not None and step != boundary:
                step = self.parent.get(step)
            if step is None:  # Argo refuses a tree without the way up; the boundary is known all the same
                if boundary not in self.nodes:
                    return None
                step = boundary
            reset.add(step)
            current = step
