"""The phase of a DAG from its nodes (Argo's assessDAGPhase)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.argo.nodes import COMPLETED, FAILED
from tiphys.engine.machine.bodies.dag_plan import DagPlan
from tiphys.engine.machine.bodies.steps import continues_on
from tiphys.engine.machine.nodes import NodeStore, fulfilled

if TYPE_CHECKING:
    from tiphys.argo.types import DAGTemplate, Node


__all__ = ["dag_phase"]


def dag_phase(plan: DagPlan, dag: DAGTemplate, name: str, boundary: Node, nodes: NodeStore) -> str:
    """Walk the graph breadth first; an omitted or skipped node inherits the phase of its branch."""
    phases: dict[str, str] = {nodes.id_of(f"{name}.{target}"): "" for target in plan.targets}
    queue: deque[tuple[str, str]] = deque((child, "Succeeded") for child in boundary.get("children", ()))
    seen = set(queue)
    while queue:
        identity, branch = queue.popleft()
        node = nodes.by_id.get(identity)
        if node is None:
            continue
        if not fulfilled(node):
            return "Running"
        if node["phase"] in COMPLETED:
            branch = node["phase"]
        elif node.get("daemoned"):
            branch = "Succeeded"
        if identity in phases and phases[identity] not in FAILED:
            phases[identity] = branch
        children = node.get("children", ())
        if node["type"] == "Retry":
            # its attempts do not count, only what follows the last one and its hooks
            attempts = [
                child for child in children if (nodes.by_id[child].get("nodeFlag") or {}).get("retried")
            ]
            if attempts:
                own = set(attempts)
                last = nodes.by_id[attempts[-1]]
                children = [*(child for child in children if child not in own), *last.get("children", ())]
        for child in children:
            item = (child, branch)
            if item not in seen:
                seen.add(item)
                queue.append(item)
    return _verdict(plan, dag, name, phases, nodes)


def _verdict(plan: DagPlan, dag: DAGTemplate, name: str, phases: Mapping[str, str], nodes: NodeStore) -> str:
    fail_fast = dag.get("failFast") is not False
    result = "Succeeded"
    for target in plan.targets:
        phase = phases[nodes.id_of(f"{name}.{target}")]
        if phase == "":
            result = "Running"
            if not fail_fast:
                break
        elif phase in ("Failed", "Error"):
            if continues_on(plan.tasks.get(target, {}), phase):
                continue
            result = phase
            if fail_fast:
                break
    return result
