"""A JobSet on this machine: pods with an index, found by one another, started anew by exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tests.dsl import library
from tests.engine.harness import IMAGE, RUNNERS, Recorder, dag, execute, log, marked, node, value, workflow
from tests.engine.test_resources import creating
from tiphys import Pipeline, TFJob
from tiphys.engine import ReplicaChanged, RunOptions

Json = Any
CODES = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": list(range(1, 128))}}]}
VARIABLES: list[Json] = [
    {
        "name": "NAME",
        "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['jobset.sigs.k8s.io/jobset-name']"}},
    },
    {"name": "PEERS", "value": "$(NAME)-worker-0-0.$(NAME):2222,$(NAME)-worker-0-1.$(NAME):2222"},
    {"name": "FAR", "value": "x$(NAME)-worker-0-0.$(NAME):2222,$(NAME)-worker-0-0.$(NAME):22220"},
]


def jobset(
    script: str,
    *,
    workers: int = 2,
    restart: str = "Never",
    env: Mapping[str, str] | None = None,
    mark: str = "",
    **job: Json,
) -> dict[str, Json]:
    """A JobSet of workers that run a shell line; ``job``: more fields of its Job."""
    container: Json = {"name": "tensorflow", "image": IMAGE, "command": ["sh", "-c", script, mark]}
    container["env"] = [*VARIABLES, *({"name": name, "value": text} for name, text in (env or {}).items())]
    container["ports"] = [{"containerPort": 2222}]
    pod = {"spec": {"restartPolicy": restart, "containers": [container]}}
    spec = {
        "completionMode": "Indexed",
        "parallelism": workers,
        "completions": workers,
        **job,
        "template": pod,
    }
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": "job", "annotations": {"tiphys.dev/output": "pvc://x/y"}},
        "spec": {"replicatedJobs": [{"name": "worker", "template": {"spec": spec}}]},
    }


def waiting(manifest: dict[str, Json]) -> dict[str, Json]:
    return creating(
        manifest,
        successCondition="status.terminalState == Completed",
        failureCondition="status.terminalState == Failed",
        outputs={"parameters": [{"name": "status", "valueFrom": {"jsonPath": "{.status}", "default": "{}"}}]},
    )


def words(folder: Path, index: int) -> list[str]:
    return (folder / f"logs/job-worker-0-{index}.log").read_text().splitlines()


@pytest.mark.parametrize("runner", RUNNERS)
def test_pods_have_an_index_and_find_one_another(tmp_path: Path, runner: str) -> None:
    script = 'echo "$JOB_COMPLETION_INDEX $HOSTNAME $PEERS"; echo "$FAR"'
    result = execute(tmp_path, workflow(waiting(jobset(script))), runner=runner)
    assert result.succeeded, result.message
    (first, far), (second, _) = words(result.folder, 0), words(result.folder, 1)
    index, host, peers = first.split()
    assert (index, host) == ("0", "job-worker-0-0")  # the stable name of pkg/util/placement
    assert second.split() == ["1", "job-worker-0-1", peers]
    one, other = peers.split(",")
    assert one != other and one.startswith("localhost:") and other.startswith("localhost:")
    assert far == "xjob-worker-0-0.job:2222,job-worker-0-0.job:22220"  # nobody's


def test_the_status_is_the_controllers(tmp_path: Path) -> None:
    """pkg/controllers/jobset_controller.go: setJobSetCompletedCondition, calculateReplicatedJobStatuses."""
    result = execute(tmp_path, workflow(waiting(jobset("true"))))
    status = json.loads(value(result, result.name, "status"))
    (condition,) = status.pop("conditions")
    assert condition.pop("lastTransitionTime")
    assert condition == {
        "type": "Completed",
        "status": "True",
        "reason": "AllJobsCompleted",
        "message": "jobset completed successfully",
    }
    worker = {"name": "worker", "ready": 0, "succeeded": 1, "failed": 0, "active": 0, "suspended": 0}
    assert status == {"restarts": 0, "terminalState": "Completed", "replicatedJobsStatus": [worker]}


def test_a_code_that_fails_the_job_fails_it_at_once_and_the_log_tells_why(tmp_path: Path) -> None:
    script = "test $JOB_COMPLETION_INDEX = 0 && exec sleep 1000; echo the reason; exit 3"
    result = execute(tmp_path, workflow(waiting(jobset(script, backoffLimit=1000, podFailurePolicy=CODES))))
    found = node(result, result.name)
    assert found["phase"] == "Failed"
    assert found["message"] == (
        "main: Error (exit code 64): failure condition '{status.terminalState == [Failed]}' evaluated true"
    )
    assert "worker-0-1 ended with exit code 3" in log(result, result.name)
    assert "the reason" in log(result, result.name)


def test_another_code_starts_the_one_worker_anew(tmp_path: Path) -> None:
    script = 'cd "$HERE"; test $JOB_COMPLETION_INDEX = 0 || test -e failed || { touch failed; exit 138; }'
    seen = Recorder()
    manifest = jobset(script, env={"HERE": str(tmp_path)}, backoffLimit=3, podFailurePolicy=CODES)
    assert execute(tmp_path, workflow(waiting(manifest)), observer=seen).succeeded
    states = [(each.replica, each.state) for each in seen.of(ReplicaChanged)]
    assert [state for who, state in states if who == "worker-0-0"] == ["started", "succeeded"]
    assert [state for who, state in states if who == "worker-0-1"] == [
        "started",
        "failed",
        "started",
        "succeeded",
    ]


@pytest.mark.parametrize(
    ("restart", "limit", "starts"), [("Never", 0, 1), ("Never", 1, 2), ("OnFailure", 1, 1)]
)
def test_the_backoff_limit(tmp_path: Path, restart: str, limit: int, starts: int) -> None:
    """pkg/controller/job/job_controller.go: more failed pods than the limit, or as many restarts of containers."""
    seen = Recorder()
    manifest = jobset("exit 1", workers=1, restart=restart, backoffLimit=limit)
    result = execute(tmp_path, workflow(waiting(manifest)), observer=seen)
    assert result.phase == "Failed"
    assert [each.state for each in seen.of(ReplicaChanged)].count("started") == starts


def test_the_deadline(tmp_path: Path) -> None:
    result = execute(tmp_path, workflow(waiting(jobset("exec sleep 1000", activeDeadlineSeconds=1))))
    assert result.phase == "Failed"


def test_worker_0_may_decide(tmp_path: Path) -> None:
    manifest = jobset(
        "test $JOB_COMPLETION_INDEX = 0 || exec sleep 1000",
        successPolicy={"rules": [{"succeededIndexes": "0"}]},
    )
    assert execute(tmp_path, workflow(waiting(manifest))).succeeded


def test_what_has_no_stand_in_is_refused_before_anything_runs(tmp_path: Path) -> None:
    manifest = jobset("true")
    manifest["spec"]["failurePolicy"] = {"maxRestarts": 1}
    with pytest.raises(tiphys.RefusedError) as caught:
        execute(tmp_path, workflow(waiting(manifest)))
    assert caught.value.code == "TIP237"


def test_what_the_webhook_refuses_is_refused_before_anything_runs(tmp_path: Path) -> None:
    manifest = jobset("true")
    manifest["metadata"]["name"] = "a" * 60
    with pytest.raises(tiphys.RefusedError) as caught:
        execute(tmp_path, workflow(waiting(manifest)))
    assert caught.value.code == "TIP232" and "will exceed 63 characters" in str(caught.value)


def test_jobs_of_a_run_are_deleted_by_their_kind(tmp_path: Path) -> None:
    mark = f"jobset-mark-{os.getpid()}-{tmp_path.name}"
    manifest = jobset("while :; do sleep 0.05; done", mark=mark)
    manifest["metadata"]["labels"] = {"a": "b"}
    make = {**creating(manifest, successCondition="status.replicatedJobsStatus.0.ready == 1"), "name": "make"}
    flags = ["jobsets.jobset.x-k8s.io", "--selector", "a=b"]
    drop = {"name": "drop", "resource": {"action": "delete", "flags": flags}}
    tasks = dag({"name": "make", "template": "make"}, {"name": "drop", "template": "drop", "depends": "make"})
    seen = Recorder()
    assert execute(tmp_path, workflow(tasks, make, drop), observer=seen).succeeded
    assert [each.state for each in seen.of(ReplicaChanged)][:2] == ["started", "started"]
    assert marked(mark) == []


def test_what_the_dsl_writes_runs(tmp_path: Path) -> None:
    with Pipeline("p") as pipeline:
        TFJob(library.train, kind="JobSet", env={"SAY": "x"})(data="d")
    result = tiphys.run(pipeline, options=RunOptions(store=tmp_path))
    assert result.succeeded, result.message
    (model,) = node(result, "train(0)")["outputs"]["parameters"]
    assert model["name"] == "model" and model["value"].startswith("pvc://tiphys/models/train-")
