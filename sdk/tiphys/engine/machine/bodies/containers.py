"""The Container nodes of a containerSet's pod."""

from __future__ import annotations

from collections.abc import Mapping

from tiphys.argo.nodes import COMPLETED
from tiphys.argo.spec import set_containers
from tiphys.engine.machine.bodies.body import Body

__all__ = ["create_containers", "finish_containers", "run_containers"]


def _name(body: Body, container: str) -> str:
    return f"{body.node['name']}.{container}"


def create_containers(body: Body) -> None:
    """Create a Pending node for each container, attached to those it depends on."""
    nodes, run = body.run.state.nodes, body.run
    containers = set_containers(body.template)
    for item in containers:
        nodes.create(
            _name(body, item["name"]),
            "Container",
            phase="Pending",
            scope=run.scope_label,
            holder=run.holder,
            boundary=body.node["id"],
            display=str(item["name"]),
            flag={"retried": True} if body.attempt >= 0 else None,
        )
    for item in containers:
        identity = nodes.id_of(_name(body, item["name"]))
        parents = [nodes.by_name(_name(body, name)) for name in item.get("dependencies") or ()]
        for parent in parents or [body.node]:
            if parent is not None:
                nodes.add_child(parent, identity)


def run_containers(body: Body) -> None:
    """The pod runs: so do those of its containers that wait for nothing."""
    nodes = body.run.state.nodes
    for item in set_containers(body.template):
        node = nodes.by_name(_name(body, item["name"]))
        if node is not None and node["phase"] == "Pending":
            nodes.mark(node, "Running")


def finish_containers(body: Body, phase: str, found: Mapping[str, Mapping[str, str]]) -> None:
    """Take over how each container ended; what is not told of ends as the pod did."""
    nodes = body.run.state.nodes
    for item in set_containers(body.template):
        node = nodes.by_name(_name(body, item["name"]))
        if node is None or node["phase"] in COMPLETED:
            continue
        told = found.get(item["name"]) or {}
        nodes.mark(node, told.get("phase") or phase, told.get("message") or "")
