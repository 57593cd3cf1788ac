"""What the Argo Server does to a Workflow object for resume, retry and resubmit, for use without a server.

Pure functions over the JSON of a workflow: they return a changed copy and touch nothing else.
"""

from __future__ import annotations

import base64
import copy
import gzip
import json
import re
from collections.abc import Mapping
from typing import Any

from tiphys.cluster.backend import Workflow
from tiphys.errors import ClusterError

__all__ = ["deadline_free", "declined", "matches", "packed", "resubmitted", "resumed", "retried", "unpacked"]

_LABELS = "workflows.argoproj.io/"
_GROUPS = {"DAG", "Steps", "StepGroup", "TaskGroup"}
_ENDED_BADLY = {"Failed", "Error"}


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
    return {
        **workflow,
        "status": {**{k: v for k, v in status.items() if k != "compressedNodes"}, "nodes": nodes},
    }


def packed(workflow: Workflow) -> Workflow:
    """The inverse of :func:`unpacked`, for writing back."""
    status = workflow["status"]
    text = base64.b64encode(gzip.compress(json.dumps(status.get("nodes") or {}).encode())).decode()
    return {
        **workflow,
        "status": {**{k: v for k, v in status.items() if k != "nodes"}, "compressedNodes": text},
    }


def matches(selector: str, node: Mapping[str, Any]) -> bool:
    """A node field selector of Argo: ``displayName=a,phase!=Failed``; an empty one matches all."""
    for part in filter(None, (piece.strip() for piece in selector.split(","))):
        found = re.fullmatch(r"([\w.\-]+)\s*(==|!=|=)\s*(.*)", part)
        if not found:
            raise ClusterError(
                "TIP613",
                f"{part!r} is not a node field selector",
                fix="write for example displayName=approve",
            )
        key, operator, value = found.groups()
        actual: Any
        if key.startswith("inputs.parameters.") and key.endswith(".value"):
            wanted = key.removeprefix("inputs.parameters.").removesuffix(".value")
            inputs = (node.get("inputs") or {}).get("parameters") or []
            actual = next((item.get("value") for item in inputs if item.get("name") == wanted), "")
        else:
            actual = node.get(key, "")
        if (str(actual) == value) == (operator == "!="):
            return False
    return True


def resumed(workflow: Workflow, now: str, selector: str = "") -> Workflow:
    """Clear ``spec.suspend`` and end the waiting Suspend nodes; with a selector only the nodes that it
    names."""
    result = copy.deepcopy(workflow)
    if not selector:
        result["spec"].pop("suspend", None)
    count = 0
    for node in (result.get("status", {}).get("nodes") or {}).values():
        if node.get("type") != "Suspend" or node.get("phase") != "Running" or not matches(selector, node):
            continue
        count += 1
        node.update(phase="Succeeded", finishedAt=now)
        for parameter in (node.get("outputs") or {}).get("parameters") or []:
            source = parameter.pop("valueFrom", None) or {}
            if "value" in parameter:
                continue
            if "default" not in source:
                raise ClusterError(
                    "TIP612",
                    f"node {node['displayName']} waits for its output {parameter['name']!r}",
                    cause="it has no default, and nobody supplied a value",
                    fix="set it in the Argo UI, or with `argo node set`",
                )
            parameter["value"] = source["default"]
    if selector and not count:
        raise ClusterError("TIP612", f"no suspended node matches {selector!r}", fix="look at `tiphys get`")
    return result


def declined(workflow: Workflow, now: str, selector: str, message: str = "") -> Workflow:
    """Fail the waiting Suspend nodes that the selector names: what `stop` with a selector does; it stops no pod."""
    result = copy.deepcopy(workflow)
    nodes = (result.get("status", {}).get("nodes") or {}).values()
    waiting = [node for node in nodes if node.get("type") == "Suspend" and node.get("phase") == "Running"]
    chosen = [node for node in waiting if matches(selector, node)]
    if not chosen:
        raise ClusterError(
            "TIP612",
            f"no suspended node matches {selector!r}",
            cause="a stop with a selector ends suspend steps that wait, nothing else",
            fix="look at `tiphys get`",
        )
    for node in chosen:
        node.update(phase="Failed", finishedAt=now)
        if message:
            node["message"] = message
    return result


def retried(
    workflow: Workflow,
    now: str,
    *,
    parameters: Mapping[str, str] | None = None,
    restart_successful: bool = False,
    selector: str = "",
) -> tuple[Workflow, list[str]]:
    """The workflow made ready to run again from what failed, and the IDs of the nodes whose pods must go.

    Nodes that failed go with everything after them; what succeeded stays, with its outputs. Groups above
    become Running again. Exit handlers and hooks run anew.
    """
    name = workflow["metadata"]["name"]
    phase = workflow.get("status", {}).get("phase", "")
    if phase not in _ENDED_BADLY and not (phase == "Succeeded" and restart_successful and selector):
        raise ClusterError(
            "TIP612",
            f"{name} cannot be retried: it is {phase or 'not started'}",
            cause="a retry continues a run that ended as Failed or Error",
            fix="resubmit it" if phase == "Succeeded" else "wait for its end, or stop it",
        )
    result = copy.deepcopy(workflow)
    nodes: dict[str, dict[str, Any]] = result["status"].get("nodes") or {}
    doomed = _doomed(nodes, name, selector if restart_successful else "")
    gone = _with_descendants(nodes, doomed)
    parents = _parents(nodes)
    for identity in gone:
        for group in _ancestors(identity, nodes, parents):
            if group not in gone and nodes[group]["type"] in _GROUPS:
                _reopen(nodes[group], now)
    pods = [identity for identity in gone if nodes[identity]["type"] == "Pod"]
    for identity in gone:
        del nodes[identity]
    for node in nodes.values():
        for key in ("children", "outboundNodes"):
            if node.get(key):
                node[key] = [child for child in node[key] if child not in gone]
    metadata, status = result["metadata"], result["status"]
    labels = metadata.setdefault("labels", {})
    labels.pop(_LABELS + "completed", None)
    labels.pop(_LABELS + "workflow-archiving-status", None)
    labels[_LABELS + "phase"] = "Running"
    status.update(
        phase="Running", startedAt=now, nodes=nodes, conditions=[{"type": "Completed", "status": "False"}]
    )
    for key in ("finishedAt", "message", "persistentVolumeClaims"):
        status.pop(key, None)
    deadline_free(result)
    _override(result, parameters or {})
    stored = status.get("storedWorkflowTemplateSpec")
    if stored:
        stored.pop("shutdown", None)
    return result, pods


def deadline_free(workflow: Workflow) -> None:
    """Take back what stop, terminate and suspend wrote into the spec."""
    for key in ("shutdown", "suspend"):
        workflow["spec"].pop(key, None)


def _doomed(nodes: dict[str, dict[str, Any]], name: str, selector: str) -> set[str]:
    chosen = set()
    for identity, node in nodes.items():
        kind, path = node["type"], str(node["name"])
        hook = (node.get("nodeFlag") or {}).get("hooked") or ".hooks." in path or path.endswith(".onExit")
        bad = node.get("phase") in _ENDED_BADLY | {"Omitted", "Pending", "Running"} and kind not in _GROUPS
        # a group that failed though nothing below it did: its own template is at fault
        empty = kind in _GROUPS and node.get("phase") in _ENDED_BADLY and not node.get("children")
        if hook or bad or (empty and path != name) or (selector and matches(selector, node)):
            chosen.add(identity)
    # an attempt goes with its Retry node, so that the attempts are counted from the start
    for identity, node in nodes.items():
        if node["type"] == "Retry" and node.get("phase") not in ("Succeeded", "Skipped"):
            chosen.add(identity)
        elif node["type"] == "Retry":  # it succeeded at last: its failed attempts are history
            chosen -= set(node.get("children") or ())
    return chosen


def _with_descendants(nodes: dict[str, dict[str, Any]], start: set[str]) -> set[str]:
    gone: set[str] = set()
    waiting = list(start)
    while waiting:
        identity = waiting.pop()
        if identity in gone or identity not in nodes:
            continue
        gone.add(identity)
        waiting += nodes[identity].get("children") or ()
        # what lies inside a group goes with it
        waiting += [other for other, node in nodes.items() if node.get("boundaryID") == identity]
    return gone


def _parents(nodes: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    parents: dict[str, set[str]] = {}
    for identity, node in nodes.items():
        for child in node.get("children") or ():
            parents.setdefault(child, set()).add(identity)
    return parents


def _ancestors(identity: str, nodes: dict[str, dict[str, Any]], parents: dict[str, set[str]]) -> set[str]:
    """The groups around a node: by boundaryID, and the StepGroups and TaskGroups that are its parents."""
    found: set[str] = set()
    waiting = [identity]
    while waiting:
        current = waiting.pop()
        boundary = nodes[current].get("boundaryID")
        above = {boundary} if boundary else set()
        above |= {p for p in parents.get(current, ()) if nodes[p]["type"] in ("StepGroup", "TaskGroup")}
        for group in above:
            if group in nodes and group not in found:
                found.add(group)
                waiting.append(group)
    return found


def _reopen(node: dict[str, Any], now: str) -> None:
    node.update(phase="Running", startedAt=now)
    for key in ("finishedAt", "message", "outputs"):
        node.pop(key, None)


def _override(workflow: Workflow, parameters: Mapping[str, str]) -> None:
    if not parameters:
        return
    arguments = workflow["spec"].setdefault("arguments", {})
    listed = arguments.setdefault("parameters", [])
    for key, value in parameters.items():
        found = next((item for item in listed if item["name"] == key), None)
        if found is None:
            listed.append({"name": key, "value": value})
        else:
            found["value"] = value
            found.pop("valueFrom", None)
    for part in ("storedWorkflowTemplateSpec",):
        stored = workflow.get("status", {}).get(part)
        if stored:
            _override({"spec": stored}, parameters)


def resubmitted(workflow: Workflow, *, parameters: Mapping[str, str] | None = None) -> Workflow:
    """A new workflow with the same spec, named after the old one."""
    metadata = workflow["metadata"]
    own = ("creator", "workflow-template", "cluster-workflow-template", "cron-workflow")
    labels = {
        key: value
        for key, value in (metadata.get("labels") or {}).items()
        if not key.startswith(_LABELS) or key.removeprefix(_LABELS) in own
    }
    labels[_LABELS + "resubmitted-from-workflow"] = metadata["name"]
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if not key.startswith((_LABELS + "pod-name-format", "kubectl.kubernetes.io/"))
    }
    result: Workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "generateName": metadata.get("generateName") or f"{metadata['name']}-",
            "labels": labels,
            "annotations": annotations,
        },
        "spec": copy.deepcopy(workflow["spec"]),
    }
    if metadata.get("namespace"):
        result["metadata"]["namespace"] = metadata["namespace"]
    deadline_free(result)
    _override(result, parameters or {})
    return result
