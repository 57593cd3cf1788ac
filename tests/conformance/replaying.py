"""One recorded case through the core: what was given, who acts on it, how its pods end."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.conformance.cases import load, scripts
from tests.conformance.replay import NAME, Replay
from tiphys.argo import verbs
from tiphys.argo.reader import read_text
from tiphys.argo.version import NEWEST, Argo
from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.machine import Machine
from tiphys.lint.verdict import judge

Json = Any
Action = tuple[Callable[[Machine], bool], p.Event]

__all__ = ["actions", "again", "begun", "first_name", "found_invalid", "given", "replay"]


def given(record: Mapping[str, Json]) -> tuple[dict[str, Json], list[Json]]:
    """Return the workflow and the objects given with it."""
    documents = load(record["yaml"])
    for item in record["context"]:
        documents += load(item) if isinstance(item, str) else [item]
    for step in (scripts().get(record["id"]) or {}).get("script") or ():
        if step.get("yaml") and step["do"] in ("given", "create-templates", "create-cluster-templates"):
            found = load(step["yaml"])
            if str(step.get("kind")).endswith("WorkflowTemplate"):  # whatever the file says
                found = [{**item, "kind": step["kind"]} for item in found]
            documents += [item for item in found if str(item.get("kind")) not in _TO_RUN]
    for item in record.get("secrets") or ():
        documents.append(
            {
                "kind": "Secret",
                "metadata": {"name": item["name"]},
                "stringData": item.get("data") or {},
                "data": {},
            }
        )
    for item in record["configmaps"]:
        documents.append(
            {
                "kind": "ConfigMap",
                "metadata": {"name": item["name"], "labels": item.get("labels") or {}},
                "data": item.get("data") or {},
            }
        )
    flat = [
        part
        for item in documents
        for part in (item.get("items", [item]) if item.get("kind") == "List" else [item])
    ]
    workflow = next((item for item in flat if item.get("kind") == "Workflow"), None)
    if workflow is None:
        workflow = _from_others(flat)
    return workflow, flat


_TO_RUN = ("Workflow", "CronWorkflow", "List")


def _from_others(documents: list[Json]) -> dict[str, Json]:
    for item in documents:
        if item.get("kind") == "CronWorkflow":
            metadata = item["spec"].get("workflowMetadata") or item["spec"].get("workflowMeta") or {}
            return {"kind": "Workflow", "metadata": metadata, "spec": item["spec"]["workflowSpec"]}
        if item.get("kind") == "WorkflowTemplate":  # upstream's tests read it as a workflow
            return {"kind": "Workflow", "metadata": {}, "spec": item["spec"]}
    raise LookupError("nothing to run")


def actions(record: Mapping[str, Json]) -> list[Action]:
    found: list[Action] = []
    if "own_actions" in record:
        return _own(record["own_actions"])
    when: Callable[[Machine], bool] = begun
    arguments = iter(record.get("actions") or ())
    script = (scripts().get(record["id"]) or {}).get("script") or ()
    for step in script:
        if step["do"] == "wait":
            when = {
                "running-pod": _pod_running,
                "condition": _suspended,
                "done": _never,
                "Failed": _never,
            }.get(step["for"], begun)
        elif step["do"] == "shutdown":
            next(arguments, None)
            found.append((when, p.Shutdown(0, step["strategy"])))
        elif step["do"] == "cli":
            event = _event((next(arguments, None) or {}).get("argo") or [])
            if event is not None:
                found.append((when, event))
    return found


def _own(words: list[str]) -> list[Action]:
    found: list[Action] = []
    when: Callable[[Machine], bool] = begun
    for word in words:
        verb, *rest = word.split(":")
        selector = rest[0] if rest else ""
        if verb.startswith("wait-"):
            when = {"wait-suspended": _held, "wait-pod": _pod_running}[verb]
            continue
        if verb == "resume":
            event: p.Event = p.Resume(0, selector)
        elif verb == "suspend":
            event = p.Suspend(0)
        elif verb == "set":
            name, _, value = rest[1].partition("=")
            event = p.NodeSet(0, selector, output_parameters={name: value})
        elif verb == "stop" and selector:
            event = p.NodeSet(0, selector, phase="Failed")
        else:
            event = p.Shutdown(0, "Stop" if verb == "stop" else "Terminate")
        found.append((when, event))
    return found


def _event(words: list[str]) -> p.Event | None:
    if not words or "--dry-run" in words:
        return None
    options = {words[i]: words[i + 1] for i in range(len(words) - 1) if words[i].startswith("--")}
    selector = options.get("--node-field-selector", "")
    if words[0] == "resume":
        return p.Resume(0, selector)
    if words[0] == "stop" and selector:
        return p.NodeSet(0, selector, phase="Failed", message=options.get("--message", ""))
    if words[0] in ("stop", "terminate"):
        return p.Shutdown(0, "Stop" if words[0] == "stop" else "Terminate")
    return None


def begun(machine: Machine) -> bool:
    """Whether the workflow has begun."""
    return bool(machine.nodes)


def _never(machine: Machine) -> bool:
    return False


def _pod_running(machine: Machine) -> bool:
    return any(node["type"] == "Pod" and node["phase"] == "Running" for node in machine.nodes.values())


def _suspended(machine: Machine) -> bool:
    return any(node["type"] == "Suspend" and node["phase"] == "Running" for node in machine.nodes.values())


def _held(machine: Machine) -> bool:
    """Whether a suspend node waits, or the whole workflow does."""
    return _suspended(machine) or not machine.nodes


def _pods(record: Mapping[str, Json]) -> Callable[[p.StartPod], tuple[float, p.PodFinished]]:
    nodes = {node["name"]: node for node in record["nodes"]}
    first = first_name(record)
    refused = ("is forbidden", "artifact driver")

    def pod(command: p.StartPod) -> tuple[float, p.PodFinished]:
        node = nodes.get(command.node_name.replace(first, NAME, 1))
        if node is None:
            return 1.0, p.PodFinished(0, command.node_id, "Succeeded", "", {"exitCode": "0"})
        containers = {
            other["name"].rsplit(".", 1)[1]: other
            for other in record["nodes"]
            if other["type"] == "Container" and other.get("boundary") == command.node_name
        }
        phase = node["phase"] if node["phase"] in ("Succeeded", "Failed", "Error") else "Succeeded"
        message = node.get("message") or ""
        if node.get("finishedAt") is None or node["finishedAt"] is None:
            return 1e7, p.PodFinished(0, command.node_id, phase, message, node.get("outputs"), containers)
        end = p.PodFinished(
            0, command.node_id, phase, message, node.get("outputs"), containers,
            created=not any(word in message for word in refused),
        )  # fmt: skip
        return max(node["finishedAt"] - node["startedAt"], 0.5), end

    return pod


def found_invalid(workflow: Mapping[str, Json], context: list[Json], argo: Argo = NEWEST) -> str:
    """Return what validation finds wrong, in the controller's words."""
    texts = [json.dumps(item) for item in (workflow, *context)]
    documents = read_text("\n---\n".join(texts), file="case.yaml")
    return judge(documents, documents[0], argo).invalid


def replay(record: Mapping[str, Json], argo: Argo = NEWEST) -> tuple[Machine, Replay]:
    """Run the record's workflow to its end."""
    workflow, context = given(record)
    limits: dict[str, int] = {}
    for item in context:
        if item.get("kind") == "ConfigMap":
            for key, value in (item.get("data") or {}).items():
                if str(value).isdigit():
                    limits[f"argo/ConfigMap/{item['metadata']['name']}/{key}"] = int(value)
    invalid = found_invalid(workflow, context, argo)
    name, now = first_name(record), 1_000_000_000.0
    machine = Machine(workflow, name=name, uid="UID", context=context, now=now, invalid=invalid, argo=argo)
    driver = Replay(machine, _pods(record), limits=limits, actions=actions(record), caches=context)
    for node in record["nodes"]:
        if node["type"] in ("Pod", "Container") and node.get("progress") not in (None, "0/1", "1/1"):
            driver.progress[node["name"]] = node["progress"]
    driver.run()
    for words in again(record):
        made = _made_again(machine.workflow(), words)
        earlier = made.pop("status", None)
        machine = Machine(made, name=NAME, uid="UID", context=context, now=now, earlier=earlier, argo=argo)
        driver = Replay(machine, _pods(record), limits=limits, caches=context, start=driver.now)
        driver.run()
    return machine, driver


def again(record: Mapping[str, Json]) -> list[list[str]]:
    """Return the retries and resubmits of the case's script, as they were given to ``argo``."""
    found = [list(action.get("argo") or [""]) for action in record.get("actions") or ()]
    return [words for words in found if words[0] in ("retry", "resubmit") and "--dry-run" not in words]


def first_name(record: Mapping[str, Json]) -> str:
    """Return the name of the first run: a resubmit makes one of another name, which is the one recorded."""
    return f"{NAME}0" if any(words[0] == "resubmit" for words in again(record)) else NAME


def _made_again(before: dict[str, Json], words: list[str]) -> dict[str, Json]:
    stamp = "2001-09-09T01:46:40Z"
    if words[0] == "retry":
        values = dict(itertools.pairwise(words))
        restart, selector = "--restart-successful" in words, values.get("--node-field-selector", "")
        return verbs.retried(before, stamp, restart_successful=restart, selector=selector)[0]
    before["metadata"]["generateName"] = NAME[:1]
    if "--memoized" in words:
        return verbs.memoized(before, NAME[1:], stamp)
    return verbs.resubmitted(before)
