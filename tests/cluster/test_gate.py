"""A gate on the real controller: a good model is served, a bad one is not, and the run succeeds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid

import pytest

from tests.cluster.conftest import ROOT, Cluster, connect, owned
from tiphys import Gate, Pipeline, Serving, component

pytestmark = [pytest.mark.cluster]

IMAGE = os.environ.get("TIPHYS_STEP_IMAGE", "")  # another than that of this version


def urls(given: list[str]) -> list[str]:
    return given


def test_what_passes_is_served_and_what_is_refused_is_not(cluster: Cluster, images: None) -> None:
    folder = f"gate-{uuid.uuid4().hex[:8]}"
    models = cluster.volume / "models" / folder
    models.mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-m", "tests.serving.gate.models", str(models), "good", "another"],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        check=True,
        timeout=60,
    )
    owned(models)
    served = {"name": "served", "test_accuracy": 0.9, "synthetic": False}
    reports = [{**served, "name": "good", "test_accuracy": 0.95}, {**served, "name": "another"}]
    serving = Serving("gated", replicas=1)
    with Pipeline("gate", image=IMAGE) as pipeline:
        gate = Gate(golden=32, p99="2s", memory="2Gi", no_worse_by=0.01, reports=reports, served=served)
        slots = [
            serving.publish(slot, name=name, model=f"pvc://tiphys/models/{folder}/{name}", gate=gate)
            for slot, name in (("first", "good"), ("second", "another"))
        ]
        component(urls, embed=True)(given=[slot.url.optional("") for slot in slots])
    with connect(cluster) as client:
        made = client.submit(pipeline, labels={"tiphys-test": "yes"})
        result = client.wait(made.name, timeout=120)
    nodes = {node["displayName"]: node for node in result.workflow["status"]["nodes"].values()}
    assert result.succeeded, {name: node.get("message") for name, node in nodes.items()}
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
    shutil.rmtree(models)
