"""GPUs of the pods that controllers make: TFJob, Pod, Job and Deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.gpus import TELL, A, B, machine
from tests.engine.harness import IMAGE, Recorder, dag, execute, node, wait_until, workflow
from tests.engine.test_resources import creating, deployment, tfjob, waiting
from tests.engine.test_steps_with_gpus import engine, finished
from tiphys.engine import Notice, stop_serving
from tiphys.engine.pods.gpus import GpuDesk
from tiphys.queue.devices import Devices
from tiphys.queue.pool import Short, Wanted

ONE = {"limits": {"nvidia.com/gpu": 1}}
NOTES = {
    "volumes": [{"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}],
    "mounts": [{"name": "notes", "mountPath": "/notes"}],
}


def gang(script: str, *, replicas: int = 2, policy: str = "Never", name: str = "") -> dict[str, Any]:
    """A TFJob whose workers have a GPU each, and a folder of notes."""
    made: dict[str, Any] = tfjob(script, replicas=replicas, worker={"restartPolicy": policy})
    spec = made["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]
    spec["containers"][0] |= {"resources": ONE, "volumeMounts": NOTES["mounts"]}
    spec["volumes"] = NOTES["volumes"]
    if name:
        made["metadata"]["name"] = name
    return made


def notes(tmp_path: Path) -> list[str]:
    return (tmp_path / "store/volumes/notes/lines").read_text().split("\n")[:-1]


def jobset_of(container: Any) -> dict[str, Any]:
    """A JobSet of two pods with one container."""
    job = {"parallelism": 2, "completions": 2, "template": {"spec": {"containers": [container]}}}
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": "s"},
        "spec": {"replicatedJobs": [{"name": "worker", "template": {"spec": job}}]},
    }


def test_each_worker_of_a_gang_has_its_own(tmp_path: Path, give: Any) -> None:
    give(A, B)
    result = execute(tmp_path, workflow(waiting(gang(f"{TELL} >> /notes/lines"))))
    assert result.succeeded, result.message
    assert sorted(notes(tmp_path)) == [f"[{A}] [{A}]", f"[{B}] [{B}]"]


def test_a_worker_that_starts_again_has_what_it_had(tmp_path: Path, give: Any) -> None:
    give(A, B)
    body = f"{TELL} >> /notes/$HOSTNAME; test $(wc -l < /notes/$HOSTNAME) = 2 || exit 130"
    result = execute(tmp_path, workflow(waiting(gang(body, policy="ExitCode"))))
    assert result.succeeded, result.message
    places = sorted((tmp_path / "store/volumes/notes").iterdir())
    assert [place.read_text() for place in places] == [f"[{each}] [{each}]\n" * 2 for each in (A, B)]


def test_two_gangs_never_have_half_each(tmp_path: Path, give: Any) -> None:
    give(A, B)
    tasks = [{"name": f"t{at}", "template": f"gang{at}"} for at in range(2)]
    made = []
    for at in range(2):
        body = f"echo begin{at} >> /notes/lines; sleep 0.3; echo end{at} >> /notes/lines"
        made.append({**waiting(gang(body, name=f"job{at}")), "name": f"gang{at}"})
    seen = Recorder()
    result = execute(tmp_path, workflow(dag(*tasks), *made), observer=seen)
    assert result.succeeded, result.message
    lines = notes(tmp_path)
    first, second = lines[0][-1], lines[-1][-1]
    assert lines == [f"{word}{at}" for at in (first, second) for word in ("begin", "begin", "end", "end")]
    told = [each.text for each in seen.of(Notice)]
    assert told == [
        f"TFJob/job{second} waits: Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu "
        "(asks for 2 of 2, 0 free)"
    ]


def test_the_devices_are_free_when_the_job_has_ended(tmp_path: Path, give: Any) -> None:
    give(A, B)
    both = {"image": IMAGE, "command": ["true"], "resources": {"limits": {"nvidia.com/gpu": 2}}}
    tasks = [
        {"name": "gang", "template": "gang"},
        {"name": "step", "template": "step", "depends": "gang.Failed || gang.Errored || gang.Succeeded"},
    ]
    for script in ("true", "false"):
        made = {**waiting(gang(script, name="job")), "name": "gang"}
        result = execute(tmp_path / script, workflow(dag(*tasks), made, {"name": "step", "container": both}))
        assert node(result, "step")["phase"] == "Succeeded"


@pytest.mark.parametrize("kind", ["TFJob", "JobSet", "Pod", "Job", "Deployment"])
def test_what_can_never_run_is_an_error_at_once(tmp_path: Path, give: Any, kind: str) -> None:
    give(A)
    container = {"name": "c", "image": IMAGE, "command": ["true"], "resources": ONE}
    two = {"containers": [container, {**container, "name": "d"}]}
    manifests: dict[str, Any] = {
        "TFJob": gang("true"),
        "JobSet": jobset_of(container),
        "Pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": two},
        "Job": {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "j"},
            "spec": {"template": {"spec": two}},
        },
        "Deployment": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "d"},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [container]}}},
        },
    }
    seen = Recorder()
    result = execute(tmp_path, workflow(creating(manifests[kind])), observer=seen)
    found = node(result, result.name)
    assert found["phase"] == "Error", found
    assert found["message"].startswith("TIP235: it asks for 2 of nvidia.com/gpu, and the run has 1")
    assert [each.code for each in seen.of(Notice)] == ["TIP235"]


@pytest.mark.parametrize("kind", ["Pod", "Job"])
def test_a_pod_waits_for_its_turn(tmp_path: Path, give: Any, kind: str) -> None:
    give(A)
    script = "echo begin $CUDA_VISIBLE_DEVICES >> /notes/lines; sleep 0.2; echo end >> /notes/lines"
    container = {"name": "c", "image": IMAGE, "command": ["sh", "-c", script], "resources": ONE}
    container["volumeMounts"] = NOTES["mounts"]
    spec = {"containers": [container], "volumes": NOTES["volumes"], "restartPolicy": "Never"}
    tasks, made = [], []
    for at in range(2):
        manifest: dict[str, Any] = {"metadata": {"name": f"p{at}"}, "kind": kind}
        manifest["apiVersion"] = "v1" if kind == "Pod" else "batch/v1"
        manifest["spec"] = spec if kind == "Pod" else {"template": {"spec": spec}}
        condition = "status.phase == Succeeded" if kind == "Pod" else "status.succeeded == 1"
        made.append({**creating(manifest, successCondition=condition), "name": f"m{at}"})
        tasks.append({"name": f"t{at}", "template": f"m{at}"})
    result = execute(tmp_path, workflow(dag(*tasks), *made))
    assert result.succeeded, result.message
    assert notes(tmp_path) == [f"begin {A}", "end"] * 2


def test_a_server_that_is_left_running_keeps_its_own(tmp_path: Path, give: Any) -> None:
    give(A)
    manifest: Any = deployment("d", "a", replicas=1)
    manifest["spec"]["template"]["spec"]["containers"][0]["resources"] = ONE
    ready = creating(manifest, action="apply", successCondition="status.readyReplicas == 1")
    result = execute(tmp_path, workflow(ready), keep_serving=True)
    assert result.succeeded, result.message
    table = Devices(GpuDesk.place())
    try:
        assert list(table.held()) == [A]
        assert isinstance(table.take(Wanted("other", 1, (A,))), Short)
    finally:
        stop_serving(tmp_path / "store")
    wait_until(lambda: not table.held())
    table.close()


def test_a_gang_that_begins_anew_has_its_own_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIPHYS_KEEPER_GRACE", "0")  # its workers end with the killed engine
    machine(tmp_path, A, B)
    flow = workflow(
        waiting(
            gang("echo $CUDA_VISIBLE_DEVICES >> /notes/lines; until test -e /notes/go; do sleep 0.02; done")
        )
    )
    first = engine(tmp_path, "store", flow)
    place = tmp_path / "store/volumes/notes/lines"
    wait_until(lambda: place.exists() and len(notes(tmp_path)) == 2)
    first.kill()
    finished(first)
    again = engine(tmp_path, "store", None)
    wait_until(lambda: len(notes(tmp_path)) == 4)
    (place.parent / "go").touch()
    assert finished(again) == "Succeeded"
    assert sorted(notes(tmp_path)) == [A, A, B, B]
    table = Devices(tmp_path / "devices.db")
    assert table.held() == {}
    table.close()
