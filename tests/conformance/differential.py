"""Random workflows on the real controller, and the engine's core beside it.

    python -m tests.conformance.differential FIRST LAST [--keep FILE]

Needs ``kubectl`` on PATH and KUBECONFIG set. Prints each disagreement; ``--keep`` adds the outcomes to a file of
recordings that the tests replay without a cluster.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.conformance.cluster import kubectl, outcome
from tests.conformance.compare import differences
from tests.conformance.generate import generate
from tests.conformance.generate_rich import LIBRARY, RICH, generate_rich
from tests.conformance.replay import NAME, Replay
from tests.conformance.replaying import found_invalid
from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.machine import Machine

Json = Any
DONE = ("Succeeded", "Failed", "Error")
RECORDINGS = Path(__file__).with_name("differential.json.gz")
LABEL = "tiphys-differential"

__all__ = ["RECORDINGS", "load_recordings", "run_core", "workflow_of"]


def workflow_of(seed: int) -> dict[str, Json]:
    """Return the workflow that a seed means."""
    return generate_rich(seed) if seed >= RICH else generate(seed)


def run_core(seed: int) -> dict[str, Json]:
    """Return the workflow of ``seed`` as the core ends it."""
    context = [LIBRARY] if seed >= RICH else []
    workflow = workflow_of(seed)
    invalid = found_invalid(workflow, context)
    machine = Machine(workflow, name=NAME, uid="UID", context=context, now=1_000_000_000.0, invalid=invalid)

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


def _on_cluster(seeds: list[int], patience: float = 25.0) -> dict[int, dict[str, Json]]:
    items = []
    if any(seed >= RICH for seed in seeds):
        kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps(LIBRARY))
    for seed in seeds:
        workflow = workflow_of(seed)
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
        answer = json.loads(kubectl("get", "workflows", "-l", LABEL, "-o", "json"))
        for workflow in answer["items"]:
            seed = int(workflow["metadata"]["name"].removeprefix("td-"))
            if seed in seeds and workflow.get("status", {}).get("phase") in DONE:
                found[seed] = {**outcome(workflow), "seed": seed}
    for seed in set(seeds) - set(found):
        say(f"seed {seed}: not ended on the cluster")
    kubectl("delete", "workflows", "-l", LABEL, "--wait=false")
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
