"""What the real training operator tells the workers of a compiled PyTorchJob, beside what this machine tells them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import tiphys
from tests.cluster.conftest import Cluster
from tests.dsl import library
from tiphys import Pipeline, PyTorchJob
from tiphys.gang.pytorchjob_rules import worker_env
from tiphys.gang.tf_config import replica_counts

pytestmark = [pytest.mark.cluster]
SPACE = "tiphys-pytorchjobs"  # with no label that would refuse the operator's own init container
PORT = 23456
TOLD = re.compile(r"PET_|MASTER_|RANK$|WORLD_SIZE$|PYTHONUNBUFFERED$")


@pytest.fixture
def space(machine: Cluster) -> Iterator[Cluster]:
    machine.kubectl("create", "namespace", SPACE)
    yield machine
    machine.kubectl("delete", "namespace", SPACE, "--wait=false")


def manifest(**options: Any) -> dict[str, Any]:
    with Pipeline("p", image="tiphys/none:0") as pipeline:  # no pod of it need begin
        PyTorchJob(library.train, **options)(data="d")
    spec = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))[-1]["spec"]
    (text,) = (
        each["resource"]["manifest"] for each in spec["templates"] if "manifest" in each.get("resource", {})
    )
    made: dict[str, Any] = json.loads(re.sub(r"\{\{=.*?\}\}|\{\{workflow.name\}\}", "x", text))
    return made


def test_workers_are_told_the_same(space: Cluster) -> None:
    asked: dict[str, dict[str, Any]] = {
        "plain": {},
        "lone": {"workers": 1},
        "procs": {"workers": 3, "nproc_per_node": 2},
        "elastic": {"workers": (1, 2), "max_restarts": 3},
    }
    for name, options in asked.items():
        job = manifest(**options)
        job["metadata"]["name"] = name
        space.kubectl("create", "--validate=strict", "-n", SPACE, "-f", "-", text=json.dumps(job))
        counts = replica_counts(job["spec"]["pytorchReplicaSpecs"])
        pods = {
            (kind, index): f"{name}-{kind.lower()}-{index}"
            for kind in counts
            for index in range(counts[kind])
        }

        def there(pods: dict[Any, str] = pods) -> bool:
            return {*pods.values()} <= {each["metadata"]["name"] for each in space.get("pods", "-n", SPACE)}

        space.until(f"the pods of {name}", there)
        for (kind, index), pod in pods.items():
            (container,) = space.get("pod", pod, "-n", SPACE)["spec"]["containers"]
            found = {each["name"]: each.get("value", "") for each in container["env"]}
            theirs = {
                key: re.sub(rf"{name}-(master|worker)-0", "localhost", value)
                for key, value in found.items()
                if TOLD.match(key)
            }
            assert theirs == worker_env(job["spec"], counts, kind, index, port=PORT)
