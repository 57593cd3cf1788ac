"""A user's hour with the real ``argo``: what each command says, without what no two runs have in common."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["IMAGE", "scheduled", "walk", "write"]

IMAGE = "tiphys/step:0.1.0"
WORKFLOWS = {
    "gate": """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: gate-, labels: {tiphys-test: "yes", walk: "yes"}}
spec:
  entrypoint: main
  serviceAccountName: tiphys
  arguments: {parameters: [{name: who, value: world}]}
  templates:
  - name: main
    steps:
    - - {name: ask, template: ask}
    - - name: tell
        template: tell
        arguments: {parameters: [{name: m, value: "{{steps.ask.outputs.parameters.answer}}"}]}
  - name: ask
    suspend: {}
    outputs: {parameters: [{name: answer, valueFrom: {supplied: {}}}]}
  - name: tell
    inputs: {parameters: [{name: m}]}
    container:
      image: IMAGE
      command: [sh, -c, "echo {{inputs.parameters.m}} {{workflow.parameters.who}}"]
""",
    "fails": """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: fails-, labels: {tiphys-test: "yes", walk: "yes"}}
spec:
  entrypoint: main
  serviceAccountName: tiphys
  templates:
  - name: main
    dag:
      tasks:
      - {name: first, template: good}
      - {name: second, template: bad, depends: first}
  - {name: good, container: {image: IMAGE, command: [sh, -c, "echo fine"]}}
  - {name: bad, container: {image: IMAGE, command: [sh, -c, "echo bad; exit 3"]}}
""",
    "minutely": """
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: minutely, labels: {walk: "yes"}}
spec:
  schedules: ["* * * * *"]
  timezone: Europe/Rome
  concurrencyPolicy: Forbid
  stopStrategy: {expression: "cronworkflow.succeeded >= 1"}
  workflowMetadata: {labels: {tiphys-test: "yes", walk: clock}}  # what lists of the other hour do not select
  workflowSpec:
    entrypoint: main
    serviceAccountName: tiphys
    templates:
    - name: main
      container: {image: IMAGE, command: [sh, -c, "echo on time"]}
""",
    "greet": """
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: greet, labels: {tiphys-test: "yes", walk: "yes"}}
spec:
  entrypoint: main
  serviceAccountName: tiphys
  arguments: {parameters: [{name: who, value: you}]}
  templates:
  - name: main
    container: {image: IMAGE, command: [sh, -c, "echo hello {{workflow.parameters.who}}"]}
""",
}
Ask = Callable[..., str]


def said(text: str, names: dict[str, str]) -> list[str]:
    """What was said, without what no two runs have in common: generated names, hashes, times, colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    for name, shown in sorted(names.items(), key=lambda item: -len(item[0])):
        text = text.replace(name, shown)
    lines = []
    for line in text.splitlines():
        if (
            line.startswith("time=")
            or "argo=true" in line  # what Argo's executor writes into the log of a step
            or line.endswith(": Error: exit status 3")
            or re.match(r"(ResourcesDuration|Conditions| PodRunning| Completed)", line)
        ):
            continue
        line = re.sub(r"child 'NAME-\d+'", "child NODE", line)
        line = re.sub(r"(NAME-[a-z]+)-\d{5,}", r"\1-HASH", line)
        line = re.sub(r"\b\d+ (seconds?|minutes?)( \d+ seconds?)?\b|\b\d+(\.\d+)?m?s\b", "DURATION", line)
        line = re.sub(r"\b[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \+0000.*", "TIME", line)
        line = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*( \+0000 UTC)?", "TIME", line)
        # a store is an archive, too; the throw-away cluster has none
        line = re.sub(r',?"workflows\.argoproj\.io/workflow-archiving-status":"Archived"', "", line)
        lines.append(re.sub(r" +", " ", line).strip())
    return [line for line in lines if line]


def walk(ask: Ask, folder: Path) -> list[tuple[str, list[str]]]:
    """A user's hour with ``argo``: what each command said."""
    names: dict[str, str] = {}
    told: list[tuple[str, list[str]]] = []

    def say(*words: str, check: bool = True) -> str:
        heard = ask(*words, check=check)
        shown = " ".join(names.get(word, word) for word in words)
        told.append((shown.replace(str(folder), ""), said(heard, names)))
        return heard

    def made(*words: str) -> str:
        found = ask("argo", "submit", "-o", "name", *words).split("/")[-1].split()[-1]
        names[found] = "NAME"
        return found

    def waits(run: str) -> None:
        until = time.monotonic() + 60
        while "ask" not in ask("argo", "get", run) or "ǁ" not in ask("argo", "get", run):
            assert time.monotonic() < until
            time.sleep(0.5)

    gate = made(str(folder / "gate.yaml"), "-p", "who=moon")
    waits(gate)
    say("argo", "get", gate)
    say("argo", "list", "-l", "walk=yes", "--running", "-o", "name")
    say(
        "argo",
        "node",
        "set",
        gate,
        "--node-field-selector",
        "displayName=ask",
        "--output-parameter",
        "answer=yes",
    )
    say("argo", "suspend", gate)
    say("argo", "resume", gate)
    say("argo", "wait", gate)
    say("argo", "get", gate)
    say("argo", "logs", gate, "--no-color")
    say("argo", "stop", gate, check=False)

    other = made(str(folder / "gate.yaml"))
    waits(other)
    say("argo", "stop", other, "--node-field-selector", "displayName=ask", "--message", "no")
    say("argo", "wait", other, check=False)
    say("argo", "get", other)

    fails = made(str(folder / "fails.yaml"))
    say("argo", "wait", fails, check=False)
    say("argo", "get", fails)
    say("argo", "logs", fails, "--no-color")
    say("argo", "retry", fails, "--wait", check=False)
    say("argo", "get", fails)
    say("argo", "list", "-l", "walk=yes", "--status", "Failed", "--no-headers", "-o", "name")

    say("argo", "template", "create", str(folder / "greet.yaml"))
    say("argo", "template", "get", "greet")
    greet = made("--from", "workflowtemplate/greet", "-l", "walk=yes,tiphys-test=yes", "-p", "who=her")
    say("argo", "wait", greet)
    say("argo", "logs", greet, "--no-color")
    say("argo", "template", "delete", "greet")
    say("argo", "template", "get", "greet", check=False)
    say("argo", "lint", str(folder / "gate.yaml"))
    say("argo", "get", "none", check=False)
    for run in (gate, other, fails, greet):
        say("argo", "delete", run)
    say("argo", "list", "-l", "walk=yes")
    return told


def scheduled(ask: Ask, folder: Path) -> list[tuple[str, list[str]]]:
    """The life of a CronWorkflow, which takes a minute: what each command said."""
    names: dict[str, str] = {}
    told: list[tuple[str, list[str]]] = []

    def say(*words: str, check: bool = True) -> None:
        answer = ask(*words, check=check)
        shown = " ".join(names.get(word, word) for word in words)
        told.append((shown.replace(str(folder), ""), said(answer, names)))

    say("argo", "cron", "create", str(folder / "minutely.yaml"))
    say("argo", "cron", "list", "-l", "walk=yes")
    say("argo", "cron", "suspend", "minutely")
    say("argo", "cron", "get", "minutely")
    say("argo", "cron", "resume", "minutely")
    once = ("kubectl", "get", "cronworkflow", "minutely", "-o")
    until = time.monotonic() + 120
    while ask(*once, "jsonpath={.status.phase}") != "Stopped":
        assert time.monotonic() < until
        time.sleep(1)
    say("argo", "cron", "get", "minutely")
    say(*once, "jsonpath={.status.succeeded} {.status.failed} {.status.active} {.metadata.labels}")
    say(*once, r"jsonpath={.metadata.annotations.cronworkflows\.argoproj\.io/last-used-schedule}")
    (child,) = ask("argo", "list", "-l", "workflows.argoproj.io/cron-workflow=minutely", "-o", "name").split()
    names[child] = "CHILD"
    run = ("kubectl", "get", "workflow", child, "-o")
    say(*run, "jsonpath={.metadata.ownerReferences[0].kind} {.metadata.ownerReferences[0].controller}")
    say(*run, "jsonpath={.metadata.labels}")
    say("argo", "logs", child, "--no-color")
    say("argo", "delete", child)
    say("argo", "cron", "delete", "minutely")
    say("argo", "cron", "get", "minutely", check=False)
    return told


def write(folder: Path, image: str = IMAGE) -> Path:
    """The files that the walk submits."""
    folder.mkdir()
    for name, text in WORKFLOWS.items():
        (folder / f"{name}.yaml").write_text(text.replace("IMAGE", image))
    return folder
