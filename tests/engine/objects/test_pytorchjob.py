"""A PyTorchJob on this machine: who is told what, and how it ends; conditions and messages are the operator's
(``UpdateJobStatus`` of pkg/controller.v1/pytorch, 1.9.4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import IMAGE, Recorder, execute, value, workflow
from tests.engine.test_resources import FAILED, creating
from tiphys.engine import ReplicaChanged
from tiphys.errors import RefusedError


def pytorchjob(script: str, *, workers: int = 1, policy: str = "Never", **spec: Any) -> dict[str, Any]:
    container = {"name": "pytorch", "image": IMAGE, "command": ["sh", "-c", script]}
    one = {"restartPolicy": policy, "template": {"spec": {"containers": [container]}}}
    replicas = {"Master": {"replicas": 1, **one}, "Worker": {"replicas": workers, **one}}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "{{workflow.name}}-job"},
        "spec": {"pytorchReplicaSpecs": spec.pop("replicas", replicas), **spec},
    }


def waiting(manifest: dict[str, Any], success: str = "status.replicaStatuses.Master.succeeded == 1") -> Any:
    parameters = [{"name": "s", "valueFrom": {"jsonPath": "{.status}"}}]
    conditions = {"successCondition": success, "failureCondition": FAILED}
    return creating(manifest, **conditions, outputs={"parameters": parameters})


def test_workers_find_their_master(tmp_path: Path) -> None:
    script = 'echo "$RANK/$WORLD_SIZE $MASTER_ADDR:$MASTER_PORT $PET_NODE_RANK $PYTHONUNBUFFERED"; sleep 0.1'
    result = execute(tmp_path, workflow(waiting(pytorchjob(script, workers=2))))
    assert result.succeeded
    names = ("master-0", "worker-0", "worker-1")
    said = [(result.folder / f"logs/{result.name}-job-{name}.log").read_text().split() for name in names]
    assert [each[0] for each in said] == ["0/3", "1/3", "2/3"]
    assert [each[2] for each in said] == ["0", "1", "2"]
    assert len({each[1] for each in said}) == 1 and said[0][1].startswith("localhost:")


def test_it_has_succeeded_when_its_master_has(tmp_path: Path) -> None:
    script = 'test "$RANK" = 0 || exec sleep 60'
    manifest = pytorchjob(script, runPolicy={"cleanPodPolicy": "Running"})
    result = execute(tmp_path, workflow(waiting(manifest)))
    status = json.loads(value(result, result.name, "s"))
    assert [(each["type"], each["status"], each["reason"]) for each in status["conditions"]] == [
        ("Created", "True", "PyTorchJobCreated"),
        ("Running", "False", "PyTorchJobRunning"),
        ("Succeeded", "True", "PyTorchJobSucceeded"),
    ]
    assert status["conditions"][-1]["message"] == f"PyTorchJob {result.name}-job is successfully completed."
    assert status["replicaStatuses"]["Master"] == {"succeeded": 1}


@pytest.mark.parametrize(("policy", "rank"), [("Never", 0), ("Never", 1), ("ExitCode", 1)])
def test_whoever_fails_for_good_fails_the_job(policy: str, rank: int, tmp_path: Path) -> None:
    seen = Recorder()
    script = f'test "$RANK" = {rank} && exit 3; exec sleep 60'
    result = execute(tmp_path, workflow(waiting(pytorchjob(script, policy=policy))), observer=seen)
    assert result.phase == "Failed"
    who = "worker-0" if rank else "master-0"
    failed = [each for each in seen.of(ReplicaChanged) if each.state == "failed"]
    assert (failed[0].replica, failed[0].message) == (who, "exit code 3")


def test_who_is_killed_is_started_anew_with_exit_codes(tmp_path: Path) -> None:
    master = "until test -e done; do sleep 0.05; done"
    worker = "test -e again && touch done || { touch again; sh -c 'kill -9 $PPID'; }"
    script = f'cd "$HERE"; if test "$RANK" = 0; then {master}; else {worker}; fi'
    manifest = pytorchjob(script, policy="ExitCode")
    for each in manifest["spec"]["pytorchReplicaSpecs"].values():
        each["template"]["spec"]["containers"][0]["env"] = [{"name": "HERE", "value": str(tmp_path)}]
    seen = Recorder()
    result = execute(tmp_path, workflow(waiting(manifest)), observer=seen)
    assert result.succeeded
    told = [each.state for each in seen.of(ReplicaChanged) if each.replica == "worker-0"]
    assert told[:3] == ["started", "failed", "started"]


def test_without_a_policy_a_container_is_started_again_in_its_pod(tmp_path: Path) -> None:
    script = f"cd {tmp_path}; test -e again || {{ touch again; exit 1; }}"
    manifest = pytorchjob(script)
    replica = manifest["spec"]["pytorchReplicaSpecs"].pop("Master")
    del replica["restartPolicy"]
    manifest["spec"]["pytorchReplicaSpecs"] = {"Master": replica}
    assert execute(tmp_path, workflow(waiting(manifest))).succeeded


def test_workers_without_a_master_succeed_together(tmp_path: Path) -> None:
    manifest = pytorchjob('test -z "$RANK"', workers=2)
    del manifest["spec"]["pytorchReplicaSpecs"]["Master"]
    step = waiting(manifest, "status.replicaStatuses.Worker.succeeded == 2")
    result = execute(tmp_path, workflow(step))
    status = json.loads(value(result, result.name, "s"))
    assert status["conditions"][-1]["message"] == f"PyTorchJob argo/{result.name}-job successfully completed."


def test_a_deadline_ends_it(tmp_path: Path) -> None:
    manifest = pytorchjob("exec sleep 60", runPolicy={"activeDeadlineSeconds": 1})
    assert execute(tmp_path, workflow(waiting(manifest))).phase == "Failed"


def test_what_has_no_stand_in_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as raised:
        manifest = pytorchjob("true", elasticPolicy={"rdzvBackend": "etcd"})
        manifest["metadata"]["name"] = "job"
        execute(tmp_path, workflow(waiting(manifest)))
    assert raised.value.code == "TIP237"


def test_an_elastic_job_has_succeeded_when_any_worker_has(tmp_path: Path) -> None:
    script = 'echo "$PET_RDZV_BACKEND $PET_RDZV_ENDPOINT $PET_NNODES"; test "$RANK" = "" '
    manifest = pytorchjob(script, workers=2, elasticPolicy={"minReplicas": 1, "maxReplicas": 2})
    manifest["spec"]["runPolicy"] = {"cleanPodPolicy": "Running"}
    del manifest["spec"]["pytorchReplicaSpecs"]["Master"]
    result = execute(tmp_path, workflow(waiting(manifest, "status.replicaStatuses.Worker.succeeded > 0")))
    status = json.loads(value(result, result.name, "s"))
    assert status["conditions"][-1]["type"] == "Succeeded"
    # who is still about to say it when the other has succeeded is ended
    logs = [result.folder / f"logs/{result.name}-job-worker-{index}.log" for index in range(2)]
    told = [words for log in logs if (words := log.read_text().split())]
    assert told
    for said in told:
        assert said[0] == "c10d" and said[1].startswith("localhost:") and said[2] == "1:2"
