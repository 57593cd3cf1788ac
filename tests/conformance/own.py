"""Cases written for this project, and what the real controller made of them.

    python -m tests.conformance.own record [--only NAME,...] [--batch N]    # needs the cluster
    python -m tests.conformance.own check [--only NAME,...] [--run]         # through the core, or really run

A file in ``own/`` holds many cases. ``# case: name`` begins one; ``# do: wait-suspended resume`` beside it says what
is done to it. The first document is the workflow, or only its spec; further documents are given with it. Leaves that
most cases need (``ok``, ``err``, ``fail``, ``pod``, ``die``, ``out``, ``sh``) are added where a case names them.
``each:`` in place of templates makes one independent task out of every entry of its lists.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.conformance.cases import load
from tests.conformance.cluster import DONE, as_argo_reads, kubectl, outcome, workflows
from tests.conformance.compare import differences

Json = Any
FOLDER = Path(__file__).with_name("own")
RECORDINGS = Path(__file__).with_name("own.json.gz")
RESULTS = Path(__file__).with_name("results.json")
LABEL = "tiphys-own"

__all__ = ["Case", "cases", "load_records", "record_of"]

_INPUTS = {"parameters": [{"name": "x", "value": "d"}]}
_COMMON: dict[str, Json] = {
    "ok": {
        "inputs": _INPUTS,
        "suspend": {"duration": "0"},
        "outputs": {
            "parameters": [{"name": "r", "valueFrom": {"supplied": {}, "default": "{{inputs.parameters.x}}"}}]
        },
    },
    "err": {
        "inputs": _INPUTS,
        "suspend": {"duration": "0"},
        "outputs": {"parameters": [{"name": "r", "valueFrom": {"supplied": {}}}]},
    },
    "fail": {"inputs": _INPUTS, "steps": [[{"name": "e", "template": "err"}]]},
    "maybe": {
        "inputs": _INPUTS,
        "steps": [[{"name": "f", "template": "fail", "when": "'{{inputs.parameters.x}}' == fail"}]],
        "outputs": {
            "parameters": [
                {"name": "r",
                 "valueFrom": {"expression": "inputs.parameters.x == 'err' ? nil : inputs.parameters.x"}}
            ]
        },
    },
    "pod": {
        "inputs": _INPUTS,
        "container": {"image": "argoproj/argosay:v2", "args": ["echo", "{{inputs.parameters.x}}"]},
    },
    "die": {"inputs": _INPUTS, "container": {"image": "argoproj/argosay:v2", "args": ["exit", "1"]}},
    "out": {
        "inputs": _INPUTS,
        "container": {
            "image": "argoproj/argosay:v2",
            "args": ["echo", "{{inputs.parameters.x}}", "/tmp/r"],
        },
        "outputs": {"parameters": [{"name": "r", "valueFrom": {"path": "/tmp/r"}}]},
    },
    "sh": {
        "inputs": _INPUTS,
        "container": {"image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c"],
                      "args": ["{{inputs.parameters.x}}"]},
    },
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One case: the workflow, what is given with it, what is done to it."""

    name: str
    family: str
    workflow: dict[str, Json]
    context: list[dict[str, Json]]
    actions: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """A digest of everything that decides the outcome."""
        text = json.dumps([self.workflow, self.context, self.actions], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _each(spec: dict[str, Json]) -> dict[str, Json]:
    each = spec.pop("each")
    template = each.pop("template", "ok")
    dependencies = each.pop("after", None)
    tasks: list[dict[str, Json]] = list(each.pop("tasks", ()))
    for kind, entries in each.items():
        for index, entry in enumerate(entries):
            task: dict[str, Json] = {"name": f"{kind}{index}", "template": template}
            if dependencies:
                task["depends"] = dependencies
            if kind == "when":
                task["when"] = entry
            elif kind == "withParam":
                task |= {
                    "withParam": entry,
                    "arguments": {"parameters": [{"name": "x", "value": "{{item}}"}]},
                }
            elif kind == "withSequence":
                task |= {
                    "withSequence": entry,
                    "arguments": {"parameters": [{"name": "x", "value": "{{item}}"}]},
                }
            else:
                value = f"{{{{={entry}}}}}" if kind.startswith("expr") else entry
                task["arguments"] = {"parameters": [{"name": "x", "value": value}]}
            tasks.append(task)
    spec.setdefault("entrypoint", "main")
    spec["templates"] = [*spec.get("templates", []), {"name": "main", "dag": {"tasks": tasks}}]
    return spec


def _with_common(spec: dict[str, Json]) -> None:
    text = json.dumps(spec)
    templates = spec.get("templates")
    if templates is None:
        return
    have = {template.get("name") for template in templates}
    for name in list(_COMMON):
        if name not in have and (
            f'"{name}"' in text or (name in ("err", "fail") and ('"fail"' in text or '"maybe"' in text))
        ):
            templates.append({"name": name, **json.loads(json.dumps(_COMMON[name]))})


def _case(name: str, family: str, text: str) -> Case:
    actions: list[str] = []
    found = re.match(r"# do: (.*)\n", text)
    if found:
        actions = found.group(1).split()
        text = text[found.end() :]
    first, *context = load(text)
    workflow = first
    if "kind" not in first:
        spec = _each(first) if "each" in first else first
        metadata = spec.pop("metadata", {})
        spec.setdefault("entrypoint", "main")
        workflow = {
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": metadata, "spec": spec,
        }  # fmt: skip
    _with_common(workflow["spec"])
    for item in context:
        if "spec" in item and str(item.get("kind")).endswith("WorkflowTemplate"):
            item.setdefault("apiVersion", "argoproj.io/v1alpha1")
            _with_common(item["spec"])
        item.setdefault("apiVersion", "v1")
    return Case(name, family, workflow, context, actions)


def _names_are_text(value: Json) -> None:
    """Refuse what would end the controller: a name that YAML reads as something else (``yes``, ``1``)."""
    if isinstance(value, dict):
        for key in ("name", "template", "entrypoint", "onExit"):
            if key in value and not isinstance(value[key], (str, dict)):
                raise ValueError(f"{key} {value[key]!r} is no text")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _names_are_text(item)


@cache
def cases(folder: Path = FOLDER) -> dict[str, Case]:
    """Return all cases of a folder by name."""
    found: dict[str, Case] = {}
    for path in sorted(folder.glob("*.yaml")):
        parts = re.split(r"^# case: (\S+)\n", path.read_text(), flags=re.M)
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in found:
                raise ValueError(f"two cases are named {name}")
            try:
                found[name] = _case(name, path.stem, text)
                _names_are_text(found[name].workflow)
            except Exception as error:
                raise ValueError(f"case {name} in {path.name}: {error}") from error
    return found


@cache
def load_records() -> dict[str, dict[str, Json]]:
    """Return the kept outcomes by case."""
    if not RECORDINGS.exists():
        return {}
    loaded: dict[str, dict[str, Json]] = json.loads(gzip.decompress(RECORDINGS.read_bytes()))
    return loaded


def record_of(case: Case, kept: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """Return the case's record (by default that of 4.1.2) in the form that replaying and running take."""
    kept = load_records()[case.name] if kept is None else kept
    return {
        "id": f"own/{case.name}",
        "yaml": json.dumps(case.workflow),
        "context": case.context,
        "configmaps": [],
        "random": False,
        "own_actions": case.actions,
        **{key: value for key, value in kept.items() if key != "yaml"},
    }


# -- the cluster -----------------------------------------------------------------------------------------------------


def say(*words: object) -> None:
    """Write a line."""
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def _argo(*arguments: str) -> None:
    subprocess.run(["argo", "-n", "argo", *arguments], capture_output=True, timeout=60, check=False)


def _suspended(workflow: Mapping[str, Json]) -> bool:
    nodes = (workflow.get("status", {}).get("nodes") or {}).values()
    live = [node for node in nodes if node["phase"] in ("Running", "Pending") and node["type"] != "DAG"]
    return bool(workflow["spec"].get("suspend")) or any(
        node["type"] == "Suspend" and node["phase"] == "Running" for node in live
    )


def _pod_runs(workflow: Mapping[str, Json]) -> bool:
    nodes = (workflow.get("status", {}).get("nodes") or {}).values()
    return any(node["type"] == "Pod" and node["phase"] == "Running" for node in nodes)


_WAITS: dict[str, Callable[[Mapping[str, Json]], bool]] = {
    "wait-suspended": _suspended,
    "wait-pod": _pod_runs,
}


def _act(name: str, todo: list[str], workflow: Mapping[str, Json]) -> None:
    while todo:
        word = todo[0]
        if word in _WAITS:
            if not _WAITS[word](workflow):
                return
            todo.pop(0)
            continue
        todo.pop(0)
        verb, *rest = word.split(":")
        if verb in ("stop", "terminate", "suspend", "resume"):
            _argo(verb, name, *(["--node-field-selector", rest[0]] if rest else []))
        elif verb == "set":  # set:selector:name=value
            _argo("node", "set", name, "--node-field-selector", rest[0], "--output-parameter", rest[1])
        else:
            raise ValueError(f"no such action: {word}")
        return


def record_batch(
    batch: list[Case], patience: float, *, waiting_too: bool = False
) -> dict[str, dict[str, Json]]:
    """Ask the cluster's controller; ``waiting_too``: of a workflow that has not ended then, how it stands."""
    given, items = [], []
    for case in batch:
        metadata = {
            **case.workflow.get("metadata", {}),
            "name": f"sem-{case.name}",
        }
        metadata["labels"] = {**(metadata.get("labels") or {}), LABEL: "true"}
        items.append(as_argo_reads({**case.workflow, "metadata": metadata}))
        given += [as_argo_reads(item) for item in case.context]
    if given:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": given})
        answer = subprocess.run(
            ["kubectl", "-n", "argo", "apply", "--validate=false", "-f", "-"],
            input=text, text=True, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        if answer.returncode:
            say("given:", answer.stderr.strip()[:500])
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    answer = subprocess.run(
        ["kubectl", "-n", "argo", "create", "--validate=false", "-f", "-"],
        input=text, text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    if answer.returncode:
        say("refused:", answer.stderr.strip()[:1500])
    waiting = {f"sem-{case.name}": case for case in batch if f"sem-{case.name}" in answer.stdout}
    todo = {f"sem-{case.name}": list(case.actions) for case in batch}
    found: dict[str, dict[str, Json]] = {}
    end = time.monotonic() + patience
    while waiting and time.monotonic() < end:
        time.sleep(1.0)
        for workflow in workflows(LABEL):
            name = workflow["metadata"]["name"]
            if name not in waiting:
                continue
            labels = workflow["metadata"].get("labels") or {}
            done = labels.get("workflows.argoproj.io/completed") == "true"
            if done and workflow.get("status", {}).get("phase") in DONE:
                case = waiting.pop(name)
                found[case.name] = {**outcome(workflow), "digest": case.digest}
            elif todo[name]:
                _act(name, todo[name], workflow)
    for workflow in workflows(LABEL) if waiting_too and waiting else ():
        case = waiting.pop(workflow["metadata"]["name"], None)
        if case is not None:
            found[case.name] = {**outcome(workflow), "digest": case.digest}
    for case in waiting.values():
        say(f"{case.name}: not ended on the cluster")
    kubectl("delete", "workflows", "-l", LABEL, "--wait=false")
    for item in given:
        kubectl("delete", item["kind"], item["metadata"]["name"], "--ignore-not-found", "--wait=false")
    for case in batch:
        for name in set(re.findall(r'"configMap": \{"name": "(sem-[^"]+)"', json.dumps(case.workflow))):
            kubectl("delete", "configmap", name, "--ignore-not-found", "--wait=false")
    return found


def _record(wanted: list[Case], size: int, patience: float) -> None:
    kept = dict(load_records())
    for start in range(0, len(wanted), size):
        found = record_batch(wanted[start : start + size], patience)
        kept.update(found)
        kept = {name: record for name, record in kept.items() if name in cases()}
        RECORDINGS.write_bytes(gzip.compress(json.dumps(kept, sort_keys=True).encode(), mtime=0))
        say(f"{min(start + size, len(wanted))} of {len(wanted)}: " + " ".join(sorted(found)))
        load_records.cache_clear()


def _check(wanted: list[Case], *, run: bool) -> int:
    from tests.conformance.replaying import replay
    from tests.conformance.running import run_case

    bad = 0
    kept: dict[str, list[str]] = {}
    for case in wanted:
        if case.name not in load_records():
            continue
        record = record_of(case)
        try:
            if run:
                found = run_case(record)
            else:
                machine, _ = replay(record)
                found = differences(machine.workflow(), record) if machine.done else ["does not end"]
        except Exception as error:  # noqa: BLE001  # a crash is a disagreement like any other
            found = [f"{type(error).__name__}: {error}"]
        kept[case.name] = found
        if found:
            bad += 1
            say(f"{case.family}/{case.name}: {record['phase']} {record['message']}")
            for line in found[:12]:
                say("    ", line[:400])
    say(f"{len(wanted) - bad} of {len(wanted)} agree")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known = results.setdefault("own_run" if run else "own", {})
    known.update(kept)
    for name in known.keys() - cases().keys():
        del known[name]
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    return 1 if bad else 0


def main() -> int:
    """Record or check."""
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["record", "check"])
    parser.add_argument("--only", default="")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--patience", type=float, default=120.0)
    options = parser.parse_args()
    names = [part for part in options.only.split(",") if part]
    wanted = [
        case
        for case in cases().values()
        if not names or any(case.name == part or case.family == part for part in names)
    ]
    if options.verb == "check":
        return _check(wanted, run=options.run)
    known = load_records()
    if not options.again:
        wanted = [case for case in wanted if known.get(case.name, {}).get("digest") != case.digest]
    _record(wanted, options.batch, options.patience)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
