"""A good model and a bad one before the same gate: for both engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tiphys import Gate, Pipeline, Serving, component

ROOT = Path(__file__).resolve().parents[2]


def urls(given: list[str]) -> list[str]:
    return given


def export(folder: Path) -> None:
    """Real SavedModels ``good`` and ``another``, which does not answer as its training did."""
    folder.mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-m", "tests.serving.gate.models", str(folder), "good", "another"],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        check=True,
        timeout=120,
    )


def good_and_bad(folder: str, image: str = "") -> Pipeline:
    """``folder``: the URI of what :func:`export` made."""
    served = {"name": "served", "test_accuracy": 0.9, "synthetic": False}
    reports = [{**served, "name": "good", "test_accuracy": 0.95}, {**served, "name": "another"}]
    serving = Serving("gated", replicas=1)
    with Pipeline("gate", image=image) as pipeline:
        gate = Gate(golden=32, p99="2s", memory="2Gi", no_worse_by=0.01, reports=reports, served=served)
        slots = [
            serving.publish(slot, name=name, model=f"{folder}/{name}", gate=gate)
            for slot, name in (("first", "good"), ("second", "another"))
        ]
        component(urls, embed=True)(given=[slot.url.optional("") for slot in slots])
    return pipeline


def check(workflow: Any) -> None:
    """The run succeeds; the good one is served, and the slot of the refused one is left as it was."""
    nodes = {node["displayName"]: node for node in workflow["status"]["nodes"].values()}
    assert workflow["status"]["phase"] == "Succeeded", {
        name: node.get("message") for name, node in nodes.items()
    }
    assert nodes["expose-first"]["phase"] == "Succeeded"
    assert nodes["deploy-second"]["phase"] == "Skipped"
    assert nodes["expose-second"]["phase"] == "Omitted"
    verdicts = {
        slot: {p["name"]: p.get("value") for p in nodes[f"gate-{slot}"]["outputs"]["parameters"]}
        for slot in ("first", "second")
    }
    assert verdicts["first"]["passed"] == "true"
    assert json.loads(verdicts["first"]["measurements"])["memory_bytes"] > 50 * 2**20
    (reason,) = json.loads(verdicts["second"]["reasons"])
    assert reason.startswith("golden: 32 of 32 answers are not those of the training")
    first, second = json.loads(nodes["urls"]["outputs"]["parameters"][0]["value"])
    assert first.startswith("http://") and second == ""
