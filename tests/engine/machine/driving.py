"""Short ways to run a workflow through the core with invented pods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from tests.conformance.replay import Replay
from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.machine import Machine

Json = Any
NOW = 1_000_000_000.0


def machine(text: str, **options: Any) -> Machine:
    """Return a machine for a spec in YAML; more documents are its context."""
    documents = list(yaml.safe_load_all(text))
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "wf"},
        "spec": documents[0],
    }
    return Machine(workflow, name="wf", uid="uid", now=NOW, context=documents[1:], **options)


def begun(text: str) -> tuple[Machine, list[p.Command]]:
    """The machine after its begin, and what it asks for then."""
    made = machine(text)
    return made, made.handle(p.Begin(NOW))


def echo(command: p.StartPod) -> tuple[float, p.PodFinished]:
    """A pod that prints its args; ``fail`` or ``fail N times`` as first argument make it fail."""
    leaf = command.template.get("container") or command.template.get("script") or {}
    words = [str(word) for word in leaf.get("args") or []]
    if words[:1] == ["fail"]:
        times = int(words[1]) if len(words) > 1 else 10**6
        if command.retry_attempt < times:
            return 1.0, p.PodFinished(
                0, command.node_id, "Failed", "main: Error (exit code 1)", {"exitCode": "1"}
            )
    outputs: dict[str, Json] = {"exitCode": "0"}
    if command.capture_result:
        outputs["result"] = " ".join(words)
    declared = (command.template.get("outputs") or {}).get("parameters") or []
    if declared:
        outputs["parameters"] = [{**item, "value": " ".join(words), "valueFrom": None} for item in declared]
    return 1.0, p.PodFinished(0, command.node_id, "Succeeded", "", outputs)


def drive(
    text: str, pod: Callable[[p.StartPod], tuple[float, p.PodFinished]] = echo, **options: Any
) -> Machine:
    """Run a spec to its end."""
    known = {key: options.pop(key) for key in ("limits", "cache", "actions") if key in options}
    made = machine(text, **options)
    Replay(made, pod, start=NOW, **known).run()
    return made


def phases(made: Machine) -> dict[str, str]:
    """Return node name to phase."""
    return {node["name"]: node["phase"] for node in made.nodes.values()}


def named(made: Machine, name: str) -> Mapping[str, Json]:
    """Return the node called ``name``."""
    return next(node for node in made.nodes.values() if node["name"] == name)


def parameter(node: Mapping[str, Json], side: str, name: str) -> str | None:
    """Return the value of an input or output parameter."""
    return next(
        (
            item.get("value")
            for item in (node.get(side) or {}).get("parameters") or ()
            if item["name"] == name
        ),
        None,
    )


def metric(kind: str, name: str, value: str, **more: Json) -> dict[str, Json]:
    """A metric as a template declares it."""
    extra = {key: more.pop(key) for key in ("buckets", "operation", "realtime") if key in more}
    return {"name": name, "help": more.pop("help", "h"), kind: {"value": value, **extra}, **more}


def label(**labels: str) -> list[dict[str, str]]:
    """The labels of a metric."""
    return [{"key": key, "value": value} for key, value in labels.items()]
