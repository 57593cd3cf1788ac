"""TrainJobs of Kubeflow Trainer 2: what a PyTorchJob becomes there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.dsl.jobs_elsewhere import OPTIONS, check_legal, check_refused, training
from tiphys import PyTorchJob


def train_job(*function: Any, **options: Any) -> PyTorchJob:
    return PyTorchJob(*function, kind="TrainJob", **options)


@pytest.mark.parametrize("options", OPTIONS, ids=["gang", "one", "cached"])
def test_nobody_has_anything_against_it(options: dict[str, Any], tmp_path: Path) -> None:
    check_legal("TrainJob", train_job, options, tmp_path)


def test_here_it_is_refused_and_the_rest_runs_with_fakes(tmp_path: Path) -> None:
    check_refused("TrainJob", train_job, tmp_path)


def test_a_trainjob_says_its_own_and_patches_the_rest() -> None:
    template, job = training(train_job, workers=3, nproc_per_node=2, runtime="torch-gpu", deadline="1h")
    spec = job["spec"]
    assert spec["runtimeRef"] == {"name": "torch-gpu"} and spec["activeDeadlineSeconds"] == 3600
    trainer = spec["trainer"]
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (3, 2)
    assert trainer["command"][:3] == ["python", "-m", "torch.distributed.run"]
    (patch,) = spec["runtimePatches"]
    (node,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod = node["template"]["spec"]["template"]
    assert pod["metadata"]["labels"]["workflows.argoproj.io/workflow"] == "{{workflow.name}}"
    (container,) = pod["spec"]["containers"]
    assert node["name"] == container["name"] == "node"
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in pod["spec"]["volumes"]}
    assert template["resource"]["successCondition"] == "status.jobsStatus.0.succeeded == 1"


def test_one_process_of_each_node_unless_it_is_said() -> None:
    """Trainer's ``auto`` would start one for each core."""
    trainers = [
        training(train_job, **given)[1]["spec"]["trainer"] for given in ({}, {"nproc_per_node": "auto"})
    ]
    assert [each.get("numProcPerNode") for each in trainers] == [1, None]
