"""Jobs that run on a cluster alone, MPIJob, XGBoostJob, RayJob and TrainJob: legal for those who publish them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiphys
from tests.cluster.upstream import misfits, published
from tests.dsl import library
from tests.tools import argo_lint
from tiphys import (
    Cache,
    DefinitionError,
    Fake,
    Gang,
    MPIJob,
    Pipeline,
    PyTorchJob,
    RayJob,
    Resources,
    XGBoostJob,
    with_fakes,
)
from tiphys.engine import RunOptions
from tiphys.errors import RefusedError

Make = Callable[..., Any]


def train_job(function: Callable[..., Any], **options: Any) -> PyTorchJob:
    return PyTorchJob(function, kind="TrainJob", **options)


KINDS: dict[str, Make] = {"MPIJob": MPIJob, "XGBoostJob": XGBoostJob, "RayJob": RayJob, "TrainJob": train_job}
OPTIONS: list[dict[str, Any]] = [
    {"gang": Gang()},
    {"workers": 1},
    {"workers": 3, "instance": "model", "gang": Gang(capacity=6), "cache": Cache.by_content()},
]


def pipeline_of(make: Make, **options: Any) -> Pipeline:
    with Pipeline("p") as pipeline:
        make(library.train, **options)(data="d")
    return pipeline


def training(make: Make, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The template that makes the job, and its manifest."""
    spec = list(yaml.safe_load_all(tiphys.to_yaml(pipeline_of(make, **options))))[-1]["spec"]
    (template,) = (each for each in spec["templates"] if "manifest" in each.get("resource", {}))
    return template, json.loads(template["resource"]["manifest"])


@pytest.mark.parametrize("options", OPTIONS, ids=["gang", "one", "cached"])
@pytest.mark.parametrize("kind", KINDS)
def test_nobody_has_anything_against_it(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    text = tiphys.to_yaml(pipeline_of(KINDS[kind], **options))
    assert argo_lint(text, tmp_path) == ""
    path = tmp_path / "p.yaml"
    path.write_text(text)
    assert [str(each) for each in tiphys.lint(path) if each.severity in ("error", "warning")] == []
    try:
        definition = published(kind)
    except OSError as error:
        pytest.skip(f"the published definition of {kind} could not be fetched: {error}")
    assert list(misfits(training(KINDS[kind], **options)[1], definition)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_here_it_is_refused_and_the_rest_runs_with_fakes(kind: str, tmp_path: Path) -> None:
    pipeline = pipeline_of(KINDS[kind])
    with pytest.raises(RefusedError) as caught:
        tiphys.run(pipeline, options=options(tmp_path))
    assert caught.value.code == "TIP230" and kind in caught.value.message
    assert "with_fakes(" in (caught.value.fix or "") and "runs it" in (caught.value.cause or "")
    fake = with_fakes(pipeline, {"train": Fake(model="pvc://tiphys/models/x")})
    assert tiphys.run(fake, options=options(tmp_path)).succeeded


def options(folder: Path) -> RunOptions:
    return RunOptions(store=folder / "store")


def test_an_mpijob_starts_its_processes_in_workers_that_sleep() -> None:
    template, job = training(MPIJob, workers=2, slots=4, launcher=Resources(cpu="200m", memory="64Mi"))
    assert job["spec"]["slotsPerWorker"] == 4 and job["spec"]["mainContainer"] == "mpi"
    replicas = job["spec"]["mpiReplicaSpecs"]
    pods = {kind: each["template"]["spec"] for kind, each in replicas.items()}
    assert {kind: each["replicas"] for kind, each in replicas.items()} == {"Launcher": 1, "Worker": 2}
    assert pods["Launcher"]["containers"][0]["command"] == [
        "mpirun", "-np", "8", "python", "-m", "tiphys.step", "tests.dsl.library:train",
    ]  # fmt: skip
    assert "command" not in pods["Worker"]["containers"][0]
    assert pods["Launcher"]["containers"][0]["resources"]["requests"]["cpu"] == "200m"
    assert (
        pods["Launcher"]["automountServiceAccountToken"],
        pods["Worker"]["automountServiceAccountToken"],
    ) == (
        True,
        False,
    )
    assert template["resource"]["successCondition"] == "status.replicaStatuses.Launcher.succeeded == 1"


def test_an_xgboostjob_has_a_master() -> None:
    template, job = training(XGBoostJob, workers=3)
    replicas = job["spec"]["xgbReplicaSpecs"]
    assert {kind: each["replicas"] for kind, each in replicas.items()} == {"Master": 1, "Worker": 2}
    assert replicas["Master"]["template"]["spec"]["containers"][0]["name"] == "xgboost"
    assert template["resource"]["successCondition"] == "status.replicaStatuses.Master.succeeded == 1"


def test_a_rayjob_calls_the_function_on_its_head() -> None:
    template, job = training(RayJob, workers=3, head=Resources(cpu="200m", memory="1Gi"), deadline="1h")
    spec = job["spec"]
    assert spec["entrypoint"] == "python -m tiphys.step tests.dsl.library:train"
    assert spec["shutdownAfterJobFinishes"] is True and spec["activeDeadlineSeconds"] == 3600
    (group,) = spec["rayClusterSpec"]["workerGroupSpecs"]
    assert group["replicas"] == group["minReplicas"] == group["maxReplicas"] == 3
    head = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert "command" not in head and head["resources"]["requests"]["cpu"] == "200m"
    assert template["resource"]["successCondition"] == "status.jobStatus == SUCCEEDED"


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


@pytest.mark.parametrize(
    ("make", "given", "code", "text"),
    [
        (MPIJob, {"workers": 0}, "TIP109", "workers=0"),
        (MPIJob, {"slots": True}, "TIP109", "slots=True"),
        (MPIJob, {"clean_pods": "No"}, "TIP105", "clean_pods='No'"),
        (XGBoostJob, {"workers": (1, 2)}, "TIP109", "workers=(1, 2)"),
        (XGBoostJob, {"restart_policy": "No"}, "TIP105", "restart_policy='No'"),
        (RayJob, {"workers": [1]}, "TIP109", "workers=[1]"),
        (RayJob, {"kind": "JobSet"}, "TIP103", "no option 'kind'"),
    ],
)
def test_what_is_written_wrongly(make: Make, given: dict[str, Any], code: str, text: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        make(library.train, **given)
    assert caught.value.code == code and text in caught.value.message
    assert "test_jobs_elsewhere.py" in (caught.value.where or "")
