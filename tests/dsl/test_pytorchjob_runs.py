"""PyTorchJobs of a pipeline, run: who is told what, what follows a lost worker, and what is dropped."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import pytest

import tiphys
from components import ddp, fingerprint, ingest
from tests.dsl import gang_library
from tiphys import (
    Cache,
    Gang,
    Pipeline,
    PodSettings,
    PyTorchJob,
    Reference,
    Scratch,
    Secret,
    component,
    for_each,
)
from tiphys.engine import RunOptions, RunResult
from tiphys.engine.base.observations import Notice, Observation
from tiphys.reference import resolve

torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="PyTorch is not here")


@component
def read(model: Reference) -> str:
    return (resolve(model.uri) / "model").read_text()


def ran(folder: Path, lose: int = -1, back: int = 0, **options: Any) -> RunResult:
    with Pipeline("p") as pipeline:
        read(model=PyTorchJob(gang_library.train, gang=Gang(), **options)(data="d", lose=lose, back=back))
    return tiphys.run(pipeline, options=RunOptions(store=folder / "store"))


def said(result: RunResult) -> list[list[str]]:
    """What each worker was told, in the order of their ranks."""
    nodes = (result.workflow["status"].get("nodes") or {}).values()
    (text,) = (
        each["value"]
        for node in nodes
        if node["displayName"] == "read"
        for each in node["outputs"]["parameters"]
        if each["name"] == "result"
    )
    return [line.split() for line in text.splitlines()]


@pytest.mark.parametrize("kind", ["PyTorchJob", "JobSet"])
def test_workers_are_told_who_they_are(kind: Any, tmp_path: Path) -> None:
    result = ran(tmp_path, workers=3, kind=kind)
    assert result.succeeded
    processes = "auto" if kind == "PyTorchJob" else "-"
    assert said(result) == [[str(rank), "3", "localhost", str(rank), "3", processes] for rank in range(3)]


@pytest.mark.parametrize("make", [PyTorchJob, functools.partial(PyTorchJob, kind="JobSet")])
def test_workers_have_the_keys_that_a_component_would_have(make: Any, tmp_path: Path) -> None:
    pod = PodSettings(volumes=[Scratch("/scratch")])
    env = {"SCRATCH": "/scratch"}
    secrets = [
        Secret("hub", "token", env="HUB"),
        Secret("tls", "ca.crt", mount="/var/secrets/tls", env="TLS"),
    ]
    with Pipeline("p") as pipeline:
        read(model=make(gang_library.keys, workers=2, secrets=secrets, pod=pod, env=env)(data="d"))
    values = {"hub": {"token": "t0ken"}, "tls": {"ca.crt": "a certificate"}}
    given = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": keys}
        for name, keys in values.items()
    ]
    result = tiphys.run([pipeline, *given], options=RunOptions(store=tmp_path / "store"))
    assert result.succeeded
    assert result.outputs_of("read")["result"] == "t0ken a certificate d"


def test_a_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    with Pipeline("p") as pipeline:
        PyTorchJob(gang_library.keys, secrets=[Secret("hub", "token", env="HUB")])(data="d")
    seen: list[Observation] = []
    result = tiphys.run(pipeline, options=RunOptions(store=tmp_path / "store", observer=seen.append))
    assert not result.succeeded
    told = [each.text for each in seen if isinstance(each, Notice) and each.code == "TIP238"]
    assert told and "'hub'" in told[0] and "--secret hub/token=FILE" in told[0]


def test_one_job_after_a_lost_worker_goes_on_from_the_backup(tmp_path: Path) -> None:
    """With policy Never the job has failed, and a fresh one with the same folders follows."""
    result = ran(tmp_path, lose=1)
    assert result.succeeded
    assert [each[0] for each in said(result)] == ["0", "1"]
    told = {path.name for path in (tmp_path / "store/volumes/tiphys/work").glob("*/told-*")}
    assert told >= {"told-0-1", "told-1-0", "told-1-1"}  # the lost one, and both after it, in one folder


def test_a_job_that_nothing_follows_has_failed(tmp_path: Path) -> None:
    assert not ran(tmp_path, lose=1, retry=False).succeeded


def test_a_worker_that_is_started_again_inside_the_job(tmp_path: Path) -> None:
    result = ran(tmp_path, lose=1, back=1, retry=False, restart_policy="ExitCode")
    assert result.succeeded
    assert list((tmp_path / "store/volumes/tiphys/work").glob("*/told-1-1"))  # it came back, with the backup


def test_jobs_of_one_workflow_and_the_cache(tmp_path: Path) -> None:
    with Pipeline("p") as pipeline:
        fit = PyTorchJob(gang_library.train, gang=Gang(capacity=4), instance="name", cache=Cache.by_content())
        fit(data="d", name=for_each(["a", "b"]))
    options = RunOptions(store=tmp_path / "store")
    first, second = (tiphys.run(pipeline, options=options) for _ in range(2))
    assert first.succeeded and second.succeeded
    nodes = (second.workflow["status"].get("nodes") or {}).values()
    hits = [node["memoizationStatus"]["hit"] for node in nodes if node.get("memoizationStatus")]
    assert hits == [True, True]
    assert len(list((tmp_path / "store/volumes/tiphys/models").glob("*/model"))) == 2


@torch
@pytest.mark.parametrize("options", [{}, {"nproc_per_node": 2, "workers": 1}, {"workers": (1, 2)}], ids=str)
def test_pytorch_trains(options: dict[str, Any], tmp_path: Path) -> None:
    with Pipeline("p") as pipeline:
        found = component(fingerprint.fingerprint)(source="synthetic", limit=600)
        data = component(ingest.ingest)(source=found.source, validation_size=100, limit=600)
        model = PyTorchJob(ddp.train, gang=Gang(), **options)(dataset=data.dataset, epochs=1, batch_size=50)
        component(ddp.evaluate)(model=model, dataset=data.dataset)
    assert tiphys.run(pipeline, options=RunOptions(store=tmp_path / "store")).succeeded
