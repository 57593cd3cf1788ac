"""Ask Argo's own functions what retry, resubmit, resume and stop make of workflows: ``recorded.json.gz``.

    python -m tests.argo.verbs.record

Needs Go; the modules come from the module registry, the first build takes minutes. The tests replay the answers.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.engine.machine.driving import NOW, echo, machine
from tiphys.engine.machine import protocol as p

Json = Any
HERE = Path(__file__).parent
RECORDED = HERE / "recorded.json.gz"
MODULES = "module judge\n\ngo 1.24\n\nrequire github.com/argoproj/argo-workflows/v4 v4.0.5\n"


def spec(main: str, leaves: str) -> str:
    """A Workflow's spec in YAML with the template ``main``."""
    exits = "onExit: ok" if "# exit" in main else ""
    return f"""
entrypoint: main
{exits}
arguments:
  parameters:
  - {{name: epochs, value: "3"}}
  - {{name: from, valueFrom: {{configMapKeyRef: {{name: c, key: k}}, default: z}}}}
templates:
- name: main
{textwrap.indent(main, "  ")}
{leaves}"""


def ran(text: str, *, resume: bool = False) -> Json:
    """The workflow with its nodes, run until it ends or waits; pods whose first argument is fail do that."""
    made = machine(text)
    now = NOW
    queue: list[p.Event] = [p.Begin(NOW)]
    while not made.done:
        if not queue:
            waiting = [
                node
                for node in made.nodes.values()
                if node["phase"] == "Running" and node["type"] == "Suspend"
            ]
            if not resume or not waiting:
                break
            queue = [p.Resume(now)]
        for command in made.handle(queue.pop(0)):
            if isinstance(command, p.StartPod):
                args = (command.template.get("container") or {}).get("args") or [""]
                if args != ["hang"]:
                    now += 1
                    queue.append(finished(command, now))
    return made.workflow()


def finished(command: p.StartPod, now: float) -> p.PodFinished:
    """How the pod ended."""
    _, end = echo(command)
    bad = "containerSet" in command.template
    parts = {
        name: {"phase": phase}
        for name, phase in (("one", "Succeeded"), ("two", "Failed"), ("main", "Succeeded"))
    }
    return p.PodFinished(
        now, command.node_id, "Failed" if bad else end.phase, "bad" if bad else end.message,
        end.outputs, parts if bad else {},
    )  # fmt: skip


def questions() -> Iterator[Json]:
    """What is asked."""
    cases: dict[str, Json] = yaml.safe_load((HERE / "cases.yaml").read_text(encoding="utf-8"))
    for name, text in cases.items():
        if name in ("leaves", "waiting"):
            continue
        workflow = ran(spec(text, cases["leaves"]), resume=True)
        workflow["metadata"]["labels"] = {"team": "ml", "workflows.argoproj.io/completed": "true"}
        asked = {"case": name, "workflow": workflow}
        yield {**asked, "verb": "retry"}
        yield {**asked, "verb": "retry", "parameters": ["epochs=5", "new=1"]}
        yield {**asked, "verb": "resubmit"}
        yield {**asked, "verb": "resubmit", "parameters": ["epochs=5", "from=here"]}
        yield {**asked, "verb": "memoized"}
        yield {**asked, "verb": "retry", "restart": True}
        for node in workflow["status"]["nodes"].values():
            chosen = {"verb": "retry", "restart": True, "selector": f"id={node['id']}"}
            yield {**asked, **chosen}
            if node["type"] in ("DAG", "Steps"):
                yield {**asked, **chosen, "parameters": ["epochs=5"]}
        yield {**asked, "verb": "retry", "restart": True, "selector": "phase=Succeeded"}
        yield {**asked, "verb": "retry", "restart": True, "selector": "templateName=ok"}
    for name, text in cases["waiting"].items():
        workflow = ran(spec(text, cases["leaves"]))
        workflow["metadata"]["labels"] = {}
        if name == "whole":
            workflow["spec"]["suspend"] = True
        asked = {"case": name, "workflow": workflow}
        yield {**asked, "verb": "retry"}
        yield {**asked, "verb": "memoized"}
        for selector in ("", "displayName=a", "displayName=b", "displayName=zz", "type=Suspend"):
            yield {**asked, "verb": "resume", "selector": selector}
            if selector:
                yield {**asked, "verb": "stop", "selector": selector}
                yield {**asked, "verb": "stop", "selector": selector, "message": "no more"}


def judged(asked: list[Json]) -> list[Json]:
    """The answers, in the order of the questions."""
    program = Path(os.environ.get("JUDGE", Path(tempfile.gettempdir()) / "tiphys-verbs-judge" / "judge"))
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        text = (HERE / "record.go").read_text(encoding="utf-8").replace("//go:build ignore\n", "")
        (program.parent / "main.go").write_text(text, encoding="utf-8")
        (program.parent / "go.mod").write_text(MODULES)
        for command in (["go", "mod", "tidy"], ["go", "build", "-o", str(program), "."]):
            subprocess.run(command, cwd=program.parent, check=True)
    done = subprocess.run([program], input=json.dumps(asked), capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def shape(workflow: Json) -> Json:
    """What is compared: not times, not the phase (Argo leaves it to the controller), not who did it."""
    kept = ("phase", "type", "boundaryID", "message", "outputs", "children", "outboundNodes")
    nodes = {
        key: {name: without_nulls(node[name]) for name in kept if node.get(name)}
        | {"ended": bool(node.get("finishedAt"))}
        for key, node in (workflow["status"].get("nodes") or {}).items()
    }
    spec, metadata = workflow["spec"], workflow["metadata"]
    parameters = (spec.get("arguments") or {}).get("parameters") or []
    return {
        "nodes": nodes,
        "parameters": sorted(parameters, key=lambda one: str(one["name"])),
        "spec": {name: spec[name] for name in ("shutdown", "suspend") if spec.get(name)},
        "labels": {
            key: value
            for key, value in (metadata.get("labels") or {}).items()
            if not key.endswith(("/phase", "actor", "action")) and "creator" not in key
        },
        "generateName": metadata.get("generateName", ""),
        "message": workflow["status"].get("message") or "",
        "ended": bool(workflow["status"].get("finishedAt")),
    }


def without_nulls(value: Json) -> Json:
    """As Go writes it: what is nil is not there."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def answered(question: Json, answer: Json) -> Json:
    """What is kept of an answer."""
    if "error" in answer:
        return {"error": answer["error"]}
    if question["verb"] == "memoized":
        messages = [node.get("message", "") for node in answer["workflow"]["status"]["nodes"].values()]
        return {"taken": sorted(message for message in messages if message.startswith("original pod"))}
    # a pod is called after its template, too: wf-TEMPLATE-1234 is of the node wf-1234
    pods = [re.sub(r"-.*-", "-", name) for name in answer.get("pods") or ()]
    return {"pods": sorted(pods), **shape(answer["workflow"])}


def main() -> None:
    """Record."""
    asked = list(questions())
    rounds = [judged(asked) for _ in range(4)]
    kept = []
    for question, *answers in zip(asked, *rounds, strict=True):
        first, *more = [answered(question, one) for one in answers]
        if all(one == first for one in more):  # Argo goes through maps: some come out differently each time
            kept.append({**question, "answer": first})
    RECORDED.write_bytes(gzip.compress(json.dumps(kept, sort_keys=True).encode(), mtime=0))
    print(len(kept), "of", len(asked))  # noqa: T201


if __name__ == "__main__":
    main()
