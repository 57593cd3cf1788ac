"""Random workflows on the real controller, and the engine's core beside it.

    python -m tests.conformance.differential FIRST LAST [--keep FILE]

Needs ``kubectl`` on PATH and KUBECONFIG set. Prints each disagreement; ``--keep`` adds the outcomes to a file of
recordings that the tests replay without a cluster.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.conformance.compare import differences
from tests.conformance.generate import generate
from tests.conformance.replay import NAME, Replay
from tiphys.engine.core import Machine
from tiphys.engine.core import protocol as p

Json = Any
DONE = ("Succeeded", "Failed", "Error")
RECORDINGS = Path(__file__).with_name("differential.json.gz")
LABEL = "tiphys-differential"

__all__ = ["RECORDINGS", "load_recordings", "run_core"]


def run_core(seed: int) -> dict[str, Json]:
    """Return the workflow of ``seed`` as the core ends it."""
    machine = Machine(generate(seed), name=NAME, uid="UID", now=1_000_000_000.0)

    def pod(command: p.StartPod) -> tuple[float, p.PodFinished]:
        raise AssertionError("these workflows have no pods")

    Replay(machine, pod).run()
    return machine.workflow()


def load_recordings() -> dict[int, dict[str, Json]]:
    """Return the kept outcomes by seed."""
    if not RECORDINGS.exists():
        return {}
    return {
        int(seed): record for seed, record in json.loads(gzip.decompress(RECORDINGS.read_bytes())).items()
    }


def say(*words: object) -> None:
    """Write a line."""
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def _kubectl(*arguments: str, stdin: str | None = None) -> str:
    return subprocess.run(
        ["kubectl", *arguments], input=stdin, capture_output=True, text=True, check=True, timeout=120
    ).stdout


def _record(workflow: dict[str, Json], seed: int) -> dict[str, Json]:
    name = workflow["metadata"]["name"]
    nodes = workflow["status"].get("nodes") or {}
    ids = {identity: node["name"].replace(name, NAME, 1) for identity, node in nodes.items()}
    pattern = re.compile(
        "|".join(sorted((re.escape(i) for i in ids if i != name), key=len, reverse=True)) or "$^"
    )

    def text(value: str) -> str:
        value = pattern.sub(lambda m: f"ID({ids[m.group()]})", value)
        return value.replace(name, NAME)

    def clean(value: Json) -> Json:
        if isinstance(value, str):
            return text(value)
        if isinstance(value, list):
            return [clean(item) for item in value]
        return {key: clean(item) for key, item in value.items()} if isinstance(value, dict) else value

    kept = ("type", "phase", "displayName", "templateName", "message", "inputs", "outputs", "nodeFlag")
    made = []
    for node in nodes.values():
        record = {key: clean(node[key]) for key in kept if key in node}
        record["name"] = ids[node["id"]]
        record["children"] = sorted(ids[child] for child in node.get("children") or () if child in ids)
        made.append(record)
    return {
        "yaml": "",
        "seed": seed,
        "phase": workflow["status"].get("phase", ""),
        "message": clean(workflow["status"].get("message", "")),
        "progress": workflow["status"].get("progress"),
        "outputs": clean(workflow["status"].get("outputs")),
        "nodes": sorted(made, key=lambda node: node["name"]),
    }


def _on_cluster(seeds: list[int], patience: float = 25.0) -> dict[int, dict[str, Json]]:
    items = []
    for seed in seeds:
        workflow = generate(seed)
        workflow["metadata"] = {"name": f"td-{seed}", "labels": {LABEL: "true"}}
        items.append(workflow)
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    subprocess.run(
        ["kubectl", "create", "-n", "argo", "-f", "-"],
        input=text,
        text=True,
        capture_output=True,
        timeout=300,
    )
    found: dict[int, dict[str, Json]] = {}
    deadline = time.monotonic() + patience
    while len(found) < len(seeds) and time.monotonic() < deadline:
        time.sleep(3)
        answer = json.loads(_kubectl("get", "workflows", "-n", "argo", "-l", LABEL, "-o", "json"))
        for workflow in answer["items"]:
            seed = int(workflow["metadata"]["name"].removeprefix("td-"))
            if seed in seeds and workflow.get("status", {}).get("phase") in DONE:
                found[seed] = _record(workflow, seed)
    for seed in set(seeds) - set(found):
        say(f"seed {seed}: not ended on the cluster")
    _kubectl("delete", "workflows", "-n", "argo", "-l", LABEL, "--wait=false")
    return found


def main() -> int:
    """Compare a range of seeds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--batch", type=int, default=25)
    options = parser.parse_args()
    kept = load_recordings()
    bad = total = 0
    for start in range(options.first, options.last, options.batch):
        seeds = [seed for seed in range(start, min(start + options.batch, options.last)) if seed not in kept]
        for seed, record in sorted(_on_cluster(seeds).items() if seeds else []):
            if "{{inputs" in json.dumps(record):
                continue  # a tag inside a value is expanded once more on every reconcile: no fixed outcome
            total += 1
            try:
                found = differences(run_core(seed), record)
            except Exception as error:  # noqa: BLE001  # a crash is a disagreement like any other
                found = [f"{type(error).__name__}: {error}"]
            kept[seed] = record
            if found:
                bad += 1
                say(f"seed {seed}: {record['phase']} {record['message']}")
                for line in found[:8]:
                    say("    ", line[:300])
        if options.keep:
            RECORDINGS.write_bytes(gzip.compress(json.dumps(kept, sort_keys=True).encode(), mtime=0))
        say(f"{total - bad} of {total} agree")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
