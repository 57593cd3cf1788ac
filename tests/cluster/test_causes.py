"""A step that needs more memory than it was given gets it, by the same YAML on the real Argo and on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiphys
from tests.cluster.conftest import Cluster, Json
from tiphys import MoreMemory, OnFailure, Pipeline, Resources, component
from tiphys.compiler.compile import to_yaml
from tiphys.engine import RunOptions

OOM = "main: OOMKilled (exit code 137)"


@component(
    embed=True,
    resources=Resources(cpu="10m", memory="50Mi", memory_limit="100Mi"),
    on_failure=OnFailure(oom=MoreMemory(2, up_to="1Gi")),
)
def eat(mib: int) -> int:
    return len(b"1" * (mib << 20))


def pipeline(mib: int = 250) -> str:
    with Pipeline("causes-memory", volumes=[]) as made:
        eat(mib=mib)
    return to_yaml(made)


def attempts(workflow: Any) -> list[tuple[str, str]]:
    """Phase and message of each, in order."""
    found = [n for n in workflow["status"]["nodes"].values() if (n.get("nodeFlag") or {}).get("retried")]
    return [(node["phase"], node.get("message", "")) for node in sorted(found, key=lambda node: node["name"])]


THREE = [("Failed", OOM), ("Failed", OOM), ("Succeeded", "")]


def test_three_attempts_here(tmp_path: Path) -> None:
    assert (
        attempts(tiphys.run(yaml.safe_load(pipeline()), options=RunOptions(store=tmp_path)).workflow) == THREE
    )


@pytest.mark.cluster
def test_three_attempts_on_the_cluster(machine: Cluster) -> None:
    made = json.loads(machine.kubectl("-n", "argo", "create", "-f", "-", "-o", "json", text=pipeline()))
    name = made["metadata"]["name"]
    try:

        def ended() -> Json:
            workflow = machine.get("-n", "argo", "workflow", name)
            return workflow if (workflow.get("status") or {}).get("finishedAt") else None

        workflow = machine.until("it ends", ended, 600)  # the first on its machine pulls the image
        assert workflow["status"]["phase"] == "Succeeded"
        assert attempts(workflow) == THREE
        pods = machine.get("-n", "argo", "pods", "-l", f"workflows.argoproj.io/workflow={name}")
        own = [each for pod in pods for each in pod["spec"]["containers"] if each["name"] == "main"]
        memory = [
            (each["resources"]["requests"]["memory"], each["resources"]["limits"]["memory"]) for each in own
        ]
        assert sorted(memory, key=lambda pair: int(pair[0][:-2])) == [
            ("50Mi", "100Mi"),
            ("100Mi", "200Mi"),
            ("200Mi", "400Mi"),
        ]
    finally:
        machine.kubectl("-n", "argo", "delete", "workflow", name, "--wait=false")
