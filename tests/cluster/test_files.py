"""The files of manifests/ and images/: generated ones are up to date, what they promise is in them."""

from __future__ import annotations

import json
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dsl import library
from tiphys import MPIJob, PyTorchJob, RayJob, TFJob, XGBoostJob
from tiphys.dsl.gang_job import GangJob
from tiphys.dsl.pod import Defaults

ROOT = Path(__file__).resolve().parent.parent.parent
PIPELINES = ROOT / "manifests" / "pipelines"
LOCK = (ROOT / "images" / "requirements.lock").read_text()


def masked(text: str) -> str:
    """Without the digests of the steps' code, which change with every edit of the code (as they must)."""
    return re.sub(r"'[0-9a-f]{16}(?=:)", "'<code>", text)


def test_the_template_and_the_schedule_are_those_of_the_compiled_pipeline() -> None:
    """Otherwise run: python manifests/pipelines/generate.py"""
    generate = runpy.run_path(str(PIPELINES / "generate.py"))
    compiled = generate["COMPILED"].read_text()
    for name, value in generate["objects"](compiled).items():
        assert masked((PIPELINES / name).read_text()) == masked(generate["dump"](value)), name


def test_the_template_says_what_the_compiled_pipeline_says() -> None:
    compiled = list(
        yaml.safe_load_all(masked((ROOT / "tests" / "golden" / "fashion-mnist.yaml").read_text()))
    )
    spec = next(item["spec"] for item in compiled if item["kind"] == "Workflow")
    template = yaml.safe_load(masked((PIPELINES / "workflow-template.yaml").read_text()))
    assert {key: value for key, value in template["spec"].items() if key != "workflowMetadata"} == spec


@pytest.mark.parametrize("name", ["step", "serving", "base"])
def test_images_are_built_on_what_is_pinned_and_run_without_root(name: str) -> None:
    lines = (ROOT / "images" / name / "Dockerfile").read_text().splitlines()
    (base,) = (line for line in lines if line.startswith("FROM"))
    assert base == "FROM ${FROM}"  # build.sh names it: by the digest of the lock file for step and serving
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users == (["1000:1000"] if name == "base" else [])
    starts = [line for line in lines if line.startswith(("CMD", "ENTRYPOINT"))]
    assert all("[" in line for line in starts)  # the exec form: no shell


def test_the_lock_pins_every_dependency_with_hashes() -> None:
    """Otherwise run: images/lock.sh"""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    pinned = {}
    for line in LOCK.splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            name, _, version = line.split()[0].partition("==")
            pinned[name.lower()] = version
    wanted = [*project["dependencies"], *extras["train"], *extras["serve"]]
    for requirement in wanted:
        name = requirement.split(">")[0].split("=")[0].split("[")[0].strip().lower()
        assert ("tensorflow-cpu" if name == "tensorflow" else name) in pinned, requirement
    assert "tensorflow" not in pinned  # tensorflow-cpu is the same modules without what only GPUs need
    assert LOCK.count("--hash=sha256:") >= len(pinned)


def test_the_locks_are_those_that_the_compiled_pipeline_uses() -> None:
    compiled = list(yaml.safe_load_all((ROOT / "tests" / "golden" / "fashion-mnist.yaml").read_text()))
    own = yaml.safe_load((ROOT / "manifests" / "base" / "locks.yaml").read_text())
    brought = next(item for item in compiled if item["kind"] == "ConfigMap")
    assert own["metadata"]["name"] == brought["metadata"]["name"]
    assert set(own["data"]) == set(brought["data"])


JOBS = [
    TFJob(library.train, name="tf"),
    PyTorchJob(library.train, name="torch"),
    PyTorchJob(library.train, name="set", kind="JobSet"),
    PyTorchJob(library.train, name="trainer", kind="TrainJob"),
    XGBoostJob(library.train, name="xgboost"),
    MPIJob(library.train, name="mpi"),
    RayJob(library.train, name="ray"),
]
EVERY_VERB = ["get", "list", "watch", "create", "patch", "delete"]


def base(file: str, kind: str, name: str) -> dict[str, Any]:
    documents = yaml.safe_load_all((ROOT / "manifests" / "base" / file).read_text())
    (found,) = (each for each in documents if each["kind"] == kind and each["metadata"]["name"] == name)
    assert isinstance(found, dict)
    return found


def rights(role: str) -> dict[str, list[str]]:
    """The verbs of a role, by ``plural.group``."""
    rules = base("accounts.yaml", "Role", role)["rules"]
    return {
        f"{plural}.{group}": rule["verbs"]
        for rule in rules
        for group in rule["apiGroups"]
        for plural in rule["resources"]
    }


def looked_at() -> set[str]:
    """What the admission policy looks at."""
    spec = base("policy.yaml", "ValidatingAdmissionPolicy", "tiphys-created-objects")["spec"]
    return {
        f"{plural}.{group}"
        for rule in spec["matchConstraints"]["resourceRules"]
        for group in rule["apiGroups"]
        for plural in rule["resources"]
    }


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.kind)
def test_a_pipeline_may_create_every_kind_of_job_and_each_is_looked_at(job: GangJob) -> None:
    (plural, _, _) = job.stop.flags
    group = str(job.object(Defaults())["apiVersion"]).partition("/")[0]
    assert plural.partition(".")[2] == group  # what the compiler writes is what the rights are for
    assert rights("tiphys")[plural] == EVERY_VERB
    assert rights("tiphys-user")[plural] == ["get", "list", "watch", "delete"]
    assert plural in looked_at()


def test_whatever_a_pipeline_may_create_is_looked_at() -> None:
    made = {kind for kind, verbs in rights("tiphys").items() if "create" in verbs}
    assert made - {"workflowtaskresults.argoproj.io"} == looked_at()


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.kind)
def test_the_policy_knows_where_the_pods_of_each_kind_are(job: GangJob) -> None:
    """One that it does not find, it lets pass."""
    spec = base("policy.yaml", "ValidatingAdmissionPolicy", "tiphys-created-objects")["spec"]
    read = " ".join(each["expression"] for each in spec["variables"])
    written = job.object(Defaults())["spec"]
    assert isinstance(written, dict)
    places = [name for name, value in written.items() if '"containers"' in json.dumps(value)]
    assert places and all(f"object.spec.{place}" in read for place in places)


def test_workers_of_every_kind_may_talk_to_each_other() -> None:
    """By the labels that those who make the pods give them (read in their sources): training operator 1.9.4, JobSet
    0.11.1, KubeRay 1.4.2; Trainer 2 makes JobSets. TFJobs meet at the port that all workflows may use."""
    made = {
        "PyTorchJob": {"training.kubeflow.org/operator-name": "pytorchjob-controller"},
        "XGBoostJob": {"training.kubeflow.org/operator-name": "xgboostjob-controller"},
        "MPIJob": {"training.kubeflow.org/operator-name": "mpijob-controller"},
        "JobSet": {"jobset.sigs.k8s.io/jobset-name": "x"},
        "TrainJob": {"jobset.sigs.k8s.io/jobset-name": "x"},
        "RayJob": {"ray.io/cluster": "x"},
    }
    assert set(made) == {job.kind for job in JOBS} - {"TFJob"}
    policies = list(yaml.safe_load_all((ROOT / "manifests" / "base" / "network.yaml").read_text()))

    def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
        return all(
            each["key"] in labels and labels[each["key"]] in each.get("values", [labels[each["key"]]])
            for each in selector.get("matchExpressions", [{"key": ""}])
        )

    for kind, labels in made.items():
        (own,) = (each["spec"] for each in policies if selects(each["spec"]["podSelector"], labels))
        for way, peers in (("ingress", "from"), ("egress", "to")):
            open_to = [rule for rule in own[way] if "ports" not in rule]
            assert any(selects(each["podSelector"], labels) for rule in open_to for each in rule[peers]), kind
