"""A training as a PyTorchJob: what the operator wants, however many workers, processes and folders there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiphys
from tests.cluster.upstream import misfits, published
from tests.dsl import library
from tests.tools import argo_lint
from tiphys import (
    Again,
    Cache,
    DefinitionError,
    Gang,
    OnFailure,
    Pipeline,
    PyTorchJob,
    Resources,
    Scheduling,
    TiphysWarning,
    component,
)

VARIANTS: list[dict[str, Any]] = [
    {},
    {"workers": 1},
    {"workers": 3, "nproc_per_node": 2, "instance": "model", "master": Resources(cpu="100m", memory="64Mi")},
    {"workers": (1, 4), "max_restarts": 3, "gang": Gang(capacity=4)},
    {"restart_policy": "ExitCode", "scheduling": Scheduling(queue="team-a", priority_class="high")},
    {"kind": "JobSet", "workers": 3, "nproc_per_node": 2},
    {"kind": "TrainJob", "workers": 3, "nproc_per_node": 2},
    {"cache": Cache.by_content(max_age="14d"), "gang": Gang(), "resources": Resources(gpu=1)},
]


@component
def look(data: str) -> None:
    """Sees to the data."""


def compiled(**options: Any) -> str:
    with Pipeline("p") as pipeline:
        PyTorchJob(library.train, **options)(data="d")
    return tiphys.to_yaml(pipeline)


def training(**options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The template that makes the job, and its manifest."""
    spec = list(yaml.safe_load_all(compiled(**options)))[-1]["spec"]
    (template,) = (each for each in spec["templates"] if "manifest" in each.get("resource", {}))
    return template, json.loads(template["resource"]["manifest"])


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_neither_argo_nor_we_have_anything_against_it(options: dict[str, Any], tmp_path: Path) -> None:
    text = compiled(**options)
    assert argo_lint(text, tmp_path) == ""
    path = tmp_path / "p.yaml"
    path.write_text(text)
    found = [each for each in tiphys.lint(path) if each.severity in ("error", "warning")]
    admitted = "gang" in options or options.get("workers") == 1
    assert {each.code for each in found} <= (set() if admitted else {"L346"})  # no semaphore admits them


@pytest.mark.parametrize("options", [VARIANTS[place] for place in (0, 1, 2, 3, 4, 6)], ids=str)
def test_the_published_definition_has_nothing_against_it(options: dict[str, Any]) -> None:
    kind = options.get("kind", "PyTorchJob")
    try:
        definition = published(kind)
    except OSError as error:
        pytest.skip(f"the published definition of {kind} could not be fetched: {error}")
    _, manifest = training(**options)
    assert list(misfits(manifest, definition)) == []


def test_the_first_worker_is_the_master() -> None:
    template, job = training(workers=3)
    replicas = job["spec"]["pytorchReplicaSpecs"]
    assert {kind: (each["replicas"], each["restartPolicy"]) for kind, each in replicas.items()} == {
        "Master": (1, "Never"),
        "Worker": (2, "Never"),
    }
    (container,) = replicas["Worker"]["template"]["spec"]["containers"]
    assert container["name"] == "pytorch"
    assert container["command"] == ["python", "-m", "tiphys.step", "tests.dsl.library:train"]
    assert container["ports"] == [{"name": "pytorchjob-port", "containerPort": 23456}]
    assert template["resource"]["successCondition"] == "status.replicaStatuses.Master.succeeded == 1"
    assert "nprocPerNode" not in job["spec"] and "elasticPolicy" not in job["spec"]


def test_a_master_alone() -> None:
    assert list(training(workers=1)[1]["spec"]["pytorchReplicaSpecs"]) == ["Master"]


def test_a_master_may_need_less() -> None:
    _, job = training(master=Resources(cpu="100m", memory="64Mi"))
    asked = {
        kind: each["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]
        for kind, each in job["spec"]["pytorchReplicaSpecs"].items()
    }
    assert asked == {"Master": "100m", "Worker": "1"}


def test_several_processes_of_a_worker_are_torchruns() -> None:
    _, job = training(nproc_per_node="gpu", resources=Resources(gpu=2))
    assert job["spec"]["nprocPerNode"] == "gpu"
    (container,) = job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"]
    run = ["python", "-m", "torch.distributed.run", "-m", "tiphys.step", "tests.dsl.library:train"]
    assert container["command"] == run
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"


def test_an_elastic_gang_has_no_master() -> None:
    template, job = training(workers=(1, 4), max_restarts=3, gang=Gang(capacity=8))
    assert job["spec"]["elasticPolicy"] == {
        "minReplicas": 1, "maxReplicas": 4, "rdzvBackend": "c10d", "maxRestarts": 3,
    }  # fmt: skip
    replicas = job["spec"]["pytorchReplicaSpecs"]
    assert [(kind, each["replicas"], each["restartPolicy"]) for kind, each in replicas.items()] == [
        ("Worker", 4, "ExitCode")
    ]
    assert job["spec"]["nprocPerNode"] == "1"  # torchrun would start one for each core
    assert template["resource"]["successCondition"] == "status.replicaStatuses.Worker.succeeded > 0"
    locks = template["synchronization"]["semaphores"]
    assert locks == [{"configMapKeyRef": {"name": "tiphys-locks", "key": "training-1-4"}}]
    assert (
        "tiphys.dev/backup" not in job["metadata"]["annotations"]
    )  # which is of this machine's elastic TFJobs


def test_jobs_are_stopped_and_dropped_by_their_kind() -> None:
    kinds = {"PyTorchJob": "pytorchjobs.kubeflow.org", "TrainJob": "trainjobs.trainer.kubeflow.org"}
    for kind, plural in {**kinds, "JobSet": "jobsets.jobset.x-k8s.io"}.items():
        fit = PyTorchJob(library.train, kind=kind, instance="model")  # type: ignore[arg-type]
        assert fit.stop.flags[0] == fit.drop.flags[0] == plural


def test_what_follows_a_failure() -> None:
    template, job = training(on_failure=OnFailure(preempted=Again(5)))
    assert template["retryStrategy"]["limit"] == "5"
    assert job["metadata"]["name"].endswith(
        "{{=lastRetry.message contains 'failure condition' ? '-r' + retries : ''}}"
    )
    template, job = training(retry=False)
    assert "retryStrategy" not in template and "lastRetry" not in job["metadata"]["name"]


def test_a_step_before_the_job() -> None:
    spec = list(yaml.safe_load_all(compiled(prepare=look)))[-1]["spec"]
    assert "look" in {each["name"] for each in spec["templates"]}


def test_a_jobset_tells_its_workers_what_the_operator_would() -> None:
    _, manifest = training(kind="JobSet", workers=3, nproc_per_node=2)
    job = manifest["spec"]["replicatedJobs"][0]["template"]["spec"]
    assert job["successPolicy"] == {"rules": [{"succeededIndexes": "0"}]}  # the master's
    (container,) = job["template"]["spec"]["containers"]
    env = {each["name"]: each.get("value") for each in container["env"]}
    assert env["WORLD_SIZE"] == "6" and env["PET_NNODES"] == "3" and env["PET_NPROC_PER_NODE"] == "2"
    assert env["RANK"] == env["PET_NODE_RANK"] == "$(JOB_COMPLETION_INDEX)"
    assert env["MASTER_ADDR"] == env["PET_MASTER_ADDR"] == "$(JOBSET_NAME)-worker-0-0.$(JOBSET_NAME)"


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ({"workers": 0}, "TIP109", "workers=0"),
        ({"workers": [1, 2]}, "TIP109", "workers=[1, 2]"),
        ({"nproc_per_node": 0}, "TIP109", "nproc_per_node=0"),
        ({"nproc_per_node": "all"}, "TIP109", "nproc_per_node='all'"),
        ({"max_restarts": 2}, "TIP109", "max_restarts=2"),
        ({"workers": (1, 2), "max_restarts": -1}, "TIP109", "max_restarts=-1"),
        ({"workers": (1, 2), "master": Resources()}, "TIP109", "master=…"),
        ({"workers": (1, 2), "kind": "JobSet"}, "TIP109", "workers=(least, most)"),
        ({"kind": "TrainJob", "master": Resources()}, "TIP109", "master=…"),
        ({"kind": "TrainJob", "runtime": "Torch_1"}, "TIP101", "Torch_1"),
        ({"kind": "Trainjob"}, "TIP105", "Did you mean 'TrainJob'"),
        ({"restart_policy": "Sometimes"}, "TIP105", "restart_policy='Sometimes'"),
        ({"clean_pods": "Some"}, "TIP105", "clean_pods='Some'"),
        ({"instance": "modle"}, "TIP103", "Did you mean 'model'"),
        ({"folders": {"outptu": "pvc://tiphys/m"}}, "TIP103", "Did you mean 'output'"),
        ({"wrokers": 2}, "TIP103", "Did you mean 'workers'"),
        ({"on_failure": OnFailure(timeout=Again(1))}, "TIP105", "a PyTorchJob has only preempted"),
        ({"deadline": "soon"}, "TIP115", "deadline"),
        ({"workers": 8, "gang": Gang(capacity=4)}, "TIP109", "never fits"),
    ],
)
def test_what_is_written_wrongly_is_one_error_at_its_line(
    options: dict[str, Any], code: str, text: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        PyTorchJob(library.train, **options)  # the line
    assert caught.value.code == code and text in caught.value.message
    path, _, line = (caught.value.where or "").partition(":")
    assert path.endswith("test_pytorchjob.py")
    assert Path(__file__).read_text().splitlines()[int(line) - 1].endswith("# the line")


@pytest.mark.parametrize("options", [{"restart_policy": "OnFailure"}, {"clean_pods": "All"}])
def test_what_a_trainjob_drops_is_a_warning(options: dict[str, Any]) -> None:
    with pytest.warns(TiphysWarning) as caught:
        PyTorchJob(library.train, kind="TrainJob", **options)
    assert [getattr(each.message, "code", "") for each in caught] == ["TIP129"]
