"""Suspend nodes that wait: which are meant, letting them pass, failing them."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tiphys.argo.selectors import matches_node, parse_fields
from tiphys.argo.verbs.problem import ImpossibleError

if TYPE_CHECKING:
    from tiphys.argo.types import Node, Workflow


__all__ = ["declined", "resumed"]


def _waiting(nodes: Iterable[Node], selector: str) -> list[Node]:
    wanted = parse_fields(selector)
    return [
        node
        for node in nodes
        if node.get("type") == "Suspend" and node.get("phase") == "Running" and matches_node(wanted, node)
    ]


def resumed(workflow: Workflow, now: str, selector: str = "") -> Workflow:
    """Clear ``spec.suspend`` and end the waiting Suspend nodes; with a selector only the nodes that it
    names.

    Raises
    ------
    SelectorError
        TIP266: it is no field selector.
    ImpossibleError
        No node matches the selector, or one lacks an output that has no default.
    """
    result = copy.deepcopy(workflow)
    if not selector:
        result["spec"].pop("suspend", None)
    nodes = _waiting((result.get("status", {}).get("nodes") or {}).values(), selector)
    for node in nodes:
        node["phase"], node["finishedAt"] = "Succeeded", now
        for parameter in (node.get("outputs") or {}).get("parameters") or []:
            source = parameter.pop("valueFrom", None) or {}
            if "value" in parameter:
                continue
            if "default" not in source:
                raise ImpossibleError(
                    f"node {node['displayName']} waits for its output {parameter['name']!r}",
                    cause="it has no default, and nobody supplied a value",
                    fix="set it in the Argo UI, or with `argo node set`",
                )
            parameter["value"] = source["default"]
    if selector and not nodes:
        raise ImpossibleError(f"no suspended node matches {selector!r}", fix="look at `tiphys get`")
    return result


def declined(workflow: Workflow, now: str, selector: str, message: str = "") -> Workflow:
    """Fail the waiting Suspend nodes that the selector names: what `stop` with a selector does; it stops no pod.

    Raises
    ------
    SelectorError
        TIP266: it is no field selector.
    ImpossibleError
        No node matches the selector.
    """
    result = copy.deepcopy(workflow)
    chosen = _waiting((result.get("status", {}).get("nodes") or {}).values(), selector)
    if not chosen:
        raise ImpossibleError(
            f"no suspended node matches {selector!r}",
            cause="a stop with a selector ends suspend steps that wait, nothing else",
            fix="look at `tiphys get`",
        )
    for node in chosen:
        node["phase"], node["finishedAt"] = "Failed", now
        if message:
            node["message"] = message
    return result
