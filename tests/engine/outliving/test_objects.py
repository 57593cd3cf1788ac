"""What a resource template made - the workers of a TFJob, a Pod, a Job - outlives its engine as steps do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from tests.engine.harness import dag, log, node, out, shell, value, wait_until, workflow
from tests.engine.outliving.world import BODY, World
from tiphys.engine import RunOptions, run
from tiphys.runs.client import Client
from tiphys.runs.local.backend import LocalRuns

pytestmark = pytest.mark.long

Json = Any
# what a worker is, among those of its job
WHO = """n=${TF_CONFIG##*\\"index\\":}; n=${n%%[!0-9 ]*}; n=$(echo $n); """
UNTIL = "until test -e /notes/go; do sleep 0.02; done; "
WORKER = f"echo $n >> /notes/began; echo one $n; {UNTIL}echo two $n; echo $n >> /notes/ended"


def pod(world: World, line: str, **more: Json) -> dict[str, Json]:
    """The spec of a pod with one container."""
    container = {
        "name": "tensorflow",
        "image": "tiphys/step:test",
        "command": ["sh", "-c", line],
        "env": [{"name": "MARK", "value": world.mark}],
        "volumeMounts": [{"name": "notes", "mountPath": "/notes"}],
    }
    volumes = [{"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}]
    return {"containers": [container], "volumes": volumes, **more}


def tfjob(
    world: World, line: str, *, workers: int = 2, restart: str = "ExitCode", **policy: Json
) -> dict[str, Json]:
    worker = {"replicas": workers, "restartPolicy": restart, "template": {"spec": pod(world, WHO + line)}}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": "job"},
        "spec": {"successPolicy": "AllWorkers", "runPolicy": policy, "tfReplicaSpecs": {"Worker": worker}},
    }


def made(name: str, manifest: Json, success: str, failure: str = "") -> dict[str, Json]:
    """A resource template that waits; what it tells at the end is the object's status."""
    told = [{"name": "status", "valueFrom": {"jsonPath": "{.status}"}}]
    resource = {"action": "create", "manifest": json.dumps(manifest), "successCondition": success}
    if failure:
        resource["failureCondition"] = failure
    return {"name": name, "resource": resource, "outputs": {"parameters": told}}


def train(world: World, line: str, **more: Json) -> dict[str, Json]:
    succeeded = f"status.replicaStatuses.Worker.succeeded == {more.get('workers', 2)}"
    failed = "status.conditions.2.type == Failed"
    return made("main", tfjob(world, line, **more), succeeded, failed)


def status(world: World) -> Json:
    """What the run ended with, of its one node."""
    flow = json.loads((world.store / "runs" / "wf" / "workflow.json").read_text())
    (found,) = flow["status"]["nodes"].values()
    return json.loads(found["outputs"]["parameters"][0]["value"])


def conditions(world: World) -> list[tuple[str, str]]:
    return [(each["type"], each["status"]) for each in status(world)["conditions"]]


def words(world: World, name: str) -> list[str]:
    return (world.store / "runs" / "wf" / "logs" / f"{name}.log").read_text().splitlines()


def resumed_elsewhere(world: World) -> subprocess.Popen[bytes]:
    again = (
        "import sys\nfrom tiphys.engine import RunOptions, resume\n"
        "resume('wf', options=RunOptions(store=sys.argv[1], runner=sys.argv[2]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", again, str(world.store), world.runner], start_new_session=True
    )


def test_workers_that_run_when_the_engine_is_killed_run_once(world: World) -> None:
    world.start(workflow(train(world, WORKER)))
    wait_until(lambda: len(world.seen("began")) == 2)
    world.kill()
    before = sorted(world.alive())
    time.sleep(0.2)
    assert len(before) >= 2 and set(world.alive()) & set(before)
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert sorted(world.seen("began")) == sorted(world.seen("ended")) == ["0", "1"]
    assert node(result, "wf")["outputs"]["exitCode"] == "0" and not node(result, "wf").get("message")
    assert log(result, "wf") == "tfjob.kubeflow.org/job create done\n"
    for each in ("0", "1"):
        assert words(world, f"job-worker-{each}") == [f"one {each}", f"two {each}"]
    assert status(world)["replicaStatuses"] == {"Worker": {"succeeded": 2}}
    assert conditions(world) == [("Created", "True"), ("Running", "False"), ("Succeeded", "True")]
    assert not world.alive()
    wait_until(lambda: not world.keepers(), 5)


def test_a_worker_that_ended_before_the_kill_does_not_run_again(world: World) -> None:
    line = f"test $n = 1 || {{ echo 0 >> /notes/began; echo 0 >> /notes/ended; exit 0; }}; {WORKER}"
    world.start(workflow(train(world, line)))
    world.wait_for("ended")
    wait_until(lambda: "1" in world.seen("began"))
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert sorted(world.seen("began")) == sorted(world.seen("ended")) == ["0", "1"]


def test_workers_that_ended_while_nobody_watched_have_ended(world: World) -> None:
    world.start(workflow(train(world, WORKER)), grace=0)
    wait_until(lambda: len(world.seen("began")) == 2)
    world.freeze()
    world.let_go()
    wait_until(lambda: len(world.seen("ended")) == 2 and not world.alive())
    world.kill()
    wait_until(lambda: not world.keepers())
    result = world.resume()
    assert result.succeeded, result.message
    assert sorted(world.seen("began")) == sorted(world.seen("ended")) == ["0", "1"]


@pytest.mark.parametrize(("restart", "code"), [("OnFailure", 3), ("ExitCode", 130)])
def test_a_worker_that_failed_while_nobody_watched_is_restarted_once(
    world: World, restart: str, code: int
) -> None:
    line = (
        f"echo $n >> /notes/began; {UNTIL}"
        f"test $n = 1 && ! test -e /notes/failed && {{ echo x >> /notes/failed; exit {code}; }}; "
        "until test -e /notes/on; do sleep 0.02; done; echo $n >> /notes/ended"
    )
    world.start(workflow(train(world, line, restart=restart)))
    wait_until(lambda: len(world.seen("began")) == 2)
    world.freeze()
    world.let_go()
    world.wait_for("failed")
    time.sleep(0.2)
    world.kill()
    threading.Timer(1.5, lambda: world.let_go("on")).start()
    result = world.resume()
    assert result.succeeded, result.message
    assert sorted(world.seen("began")) == ["0", "1", "1"] and sorted(world.seen("ended")) == ["0", "1"]


def test_one_that_failed_is_restarted_though_another_had_ended_well(plain: World) -> None:
    line = (
        f"echo $n >> /notes/began; {UNTIL}"
        "test $n = 1 && ! test -e /notes/failed && { echo x >> /notes/failed; exit 137; }; echo $n >> /notes/ended"
    )
    plain.start(workflow(train(plain, line)))
    wait_until(lambda: len(plain.seen("began")) == 2)
    plain.freeze()
    plain.let_go()
    plain.wait_for("failed")
    plain.wait_for("ended")
    wait_until(lambda: not plain.alive())
    plain.kill()
    wait_until(lambda: not plain.keepers())
    result = plain.resume()
    assert result.succeeded, result.message
    assert sorted(plain.seen("began")) == ["0", "1", "1"] and sorted(plain.seen("ended")) == ["0", "1"]


def test_restarts_before_the_kill_still_count(plain: World) -> None:
    """The worker failed once under each engine: that is the limit."""
    line = "echo x >> /notes/began; k=$(wc -l < /notes/began | tr -d ' '); until test -e /notes/$k; "
    line += "do sleep 0.02; done; exit 1"
    job = train(plain, line, workers=1, restart="OnFailure", backoffLimit=2)
    plain.start(workflow(job))
    plain.wait_for("began")
    plain.let_go("1")
    wait_until(lambda: len(plain.seen("began")) == 2)
    plain.kill()
    plain.let_go("2")
    result = plain.resume()
    assert result.phase == "Failed"
    assert len(plain.seen("began")) == 2
    assert "failure condition" in node(result, "wf")["message"]
    assert not plain.alive()


def test_killed_again(world: World) -> None:
    world.start(workflow(train(world, WORKER)))
    wait_until(lambda: len(world.seen("began")) == 2)
    world.kill()
    second = resumed_elsewhere(world)
    time.sleep(1.0)
    assert second.poll() is None
    second.kill()
    second.wait()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert sorted(world.seen("began")) == sorted(world.seen("ended")) == ["0", "1"]


def test_a_worker_finds_the_others_where_they_were(plain: World) -> None:
    """What is restarted under the second engine is told the addresses of the first."""
    line = f'echo "$TF_CONFIG" > /notes/config$n.$(date +%s%N); {WORKER}'
    line = line.replace(
        UNTIL, UNTIL + "test $n = 1 && ! test -e /notes/f && { echo x > /notes/f; exit 137; }; "
    )
    plain.start(workflow(train(plain, line)))
    wait_until(lambda: len(plain.seen("began")) == 2)
    plain.kill()
    plain.let_go()
    assert plain.resume().succeeded
    texts = [file.read_text() for file in sorted(plain.notes.glob("config*"))]
    assert len(texts) == 3
    assert len({json.dumps(json.loads(text)["cluster"]) for text in texts}) == 1


def test_the_deadline_counts_from_the_first_start(plain: World) -> None:
    line = "echo $n >> /notes/began; exec sleep 1000"
    plain.start(workflow(train(plain, line, activeDeadlineSeconds=6)))
    wait_until(lambda: len(plain.seen("began")) == 2)
    began = time.monotonic()
    time.sleep(3)
    plain.kill()
    result = plain.resume()
    assert result.phase == "Failed" and time.monotonic() - began < 8.5
    assert len(plain.seen("began")) == 2 and not plain.alive()


@pytest.mark.parametrize("which", ["guard", "keeper"])
def test_a_gang_whose_keeper_was_killed_goes_on(plain: World, which: str) -> None:
    plain.start(workflow(train(plain, WORKER)))
    wait_until(lambda: len(plain.seen("began")) == 2)
    os.kill(plain.keepers()[0 if which == "guard" else -1], signal.SIGKILL)
    plain.kill()
    plain.let_go()
    result = plain.resume()
    assert result.succeeded, result.message
    assert sorted(plain.seen("began")) == sorted(plain.seen("ended")) == ["0", "1"]


def test_of_a_gang_that_is_not_whole_nothing_goes_on(plain: World) -> None:
    """The folder of one worker is gone: the other is ended, and both begin anew."""
    job = train(plain, f"pwd > /notes/place$n; {WORKER}")
    plain.start(workflow(job))
    wait_until(lambda: len(plain.seen("began")) == 2)
    plain.kill()
    before = plain.alive()
    (starts, *_) = [
        json.loads(line.split(b" ", 3)[3][:-1])
        for line in (plain.store / "runs" / "wf" / "processes").read_bytes().splitlines()
        if line.startswith(b"+")
    ]
    folder = plain.store / "runs" / "wf" / "nodes" / starts[4]
    folder.rename(plain.path / "elsewhere")
    threading.Timer(2.0, plain.let_go).start()
    result = plain.resume()
    assert result.succeeded, result.message
    assert sorted(plain.seen("began")) == ["0", "0", "1", "1"]
    assert sorted(plain.seen("ended")) == ["0", "1"]
    assert not set(before) & set(plain.alive())


def test_steps_beside_a_job_outlive_the_engine_too(world: World) -> None:
    job = train(world, WORKER)
    job["name"] = "job"
    world.start(
        workflow(
            dag({"name": "j", "template": "job"}, {"name": "a", "template": "long"}),
            job,
            shell("long", BODY.replace("/began", "/step").replace("/ended", "/done"), outputs=out("x")),
        )
    )
    wait_until(lambda: len(world.seen("began")) == 2)
    world.wait_for("step")
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert sorted(world.seen("began")) == sorted(world.seen("ended")) == ["0", "1"]
    assert world.seen("step") == world.seen("done") == ["x"]
    assert value(result, "a", "x") == "made"


def test_a_job_that_nobody_waits_for_is_still_there(plain: World) -> None:
    """A step made it and has ended; another waits for it after the kill."""
    create = {
        "name": "create",
        "resource": {"action": "create", "manifest": json.dumps(tfjob(plain, WORKER))},
    }
    get = {
        "name": "get",
        "resource": {
            "action": "get",
            "flags": ["tfjob", "job"],
            "successCondition": "status.replicaStatuses.Worker.succeeded == 2",
        },
    }
    hold = shell("hold", "echo x >> /notes/hold; " + UNTIL)
    plain.start(
        workflow(
            dag(
                {"name": "c", "template": "create"},
                {"name": "h", "template": "hold", "depends": "c"},
                {"name": "g", "template": "get", "depends": "h"},
            ),
            create,
            get,
            hold,
        )
    )
    wait_until(lambda: len(plain.seen("began")) == 2)
    plain.wait_for("hold")
    plain.kill()
    plain.let_go()
    result = plain.resume()
    assert result.succeeded, result.message
    assert sorted(plain.seen("began")) == sorted(plain.seen("ended")) == ["0", "1"]


def test_of_a_job_that_is_done_only_what_runs_goes_on(plain: World) -> None:
    """Worker 0 has ended, and with it the job and its step; what it had as its folder a later step has by now."""
    line = f"test $n = 1 || {{ echo 0 >> /notes/began; echo 0 >> /notes/ended; exit 0; }}; {WORKER}"
    manifest = tfjob(plain, line)
    del manifest["spec"]["successPolicy"]
    hold = shell("hold", "echo kept > /tmp/mine; echo x >> /notes/hold; " + UNTIL + "cat /tmp/mine")
    plain.start(
        workflow(
            dag({"name": "j", "template": "job"}, {"name": "h", "template": "hold", "depends": "j"}),
            made("job", manifest, "status.conditions.2.type == Succeeded"),
            hold,
        )
    )
    plain.wait_for("hold")
    wait_until(lambda: len(plain.seen("began")) == 2)
    plain.kill()
    threading.Timer(1.0, plain.let_go).start()
    result = plain.resume()
    assert result.succeeded, result.message
    assert log(result, "h") == "kept\n"
    assert sorted(plain.seen("began")) == ["0", "1"]


@pytest.mark.parametrize("verb", ["delete", "run again", "stop", "terminate"])
def test_what_takes_a_run_over_ends_its_workers(plain: World, verb: str) -> None:
    plain.start(workflow(train(plain, WORKER)))
    wait_until(lambda: len(plain.seen("began")) == 2)
    plain.kill()
    assert plain.alive()
    client = Client(backend=LocalRuns(RunOptions(store=plain.store, handle_signals=False)), namespace="argo")
    if verb == "delete":
        client.delete("wf")
    elif verb == "run again":
        flow = workflow(shell("main", "true"))
        assert run(flow, options=RunOptions(store=plain.store, name="wf", handle_signals=False)).succeeded
    elif verb == "stop":
        assert client.stop("wf").phase == "Failed"
    else:
        assert client.terminate("wf")[0].phase == "Failed"
    assert not plain.alive()
    wait_until(lambda: not plain.keepers(), 5)
    assert not plain.seen("ended") and len(plain.seen("began")) == 2


def test_a_pod_goes_on(world: World) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "solo"},
        "spec": pod(world, "n=0; " + WORKER, restartPolicy="Never"),
    }
    world.start(workflow(made("main", manifest, "status.phase == Succeeded", "status.phase == Failed")))
    world.wait_for("began")
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert world.seen("began") == world.seen("ended") == ["0"]
    assert words(world, "solo") == ["one 0", "two 0"]
    assert status(world)["phase"] == "Succeeded"


def test_a_jobs_failures_are_counted_over_engines(plain: World) -> None:
    """One failure under each engine, one that nobody saw: the limit of three is not passed, and a fourth would be."""
    line = (
        "echo x >> /notes/began; k=$(wc -l < /notes/began | tr -d ' '); "
        "until test -e /notes/go$k; do sleep 0.02; done; test $k = 4 && { echo x >> /notes/ended; exit 0; }; exit 1"
    )
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "batch"},
        "spec": {"backoffLimit": 3, "template": {"spec": pod(plain, line, restartPolicy="Never")}},
    }
    plain.start(workflow(made("main", manifest, "status.succeeded == 1", "status.failed > 3")))
    plain.wait_for("began")
    plain.let_go("go1")
    wait_until(lambda: len(plain.seen("began")) == 2)
    plain.freeze()
    plain.let_go("go2")
    wait_until(lambda: not plain.alive())
    plain.kill()
    for name in ("go3", "go4"):
        plain.let_go(name)
    result = plain.resume()
    assert result.succeeded, result.message
    assert len(plain.seen("began")) == 4 and plain.seen("ended") == ["x"]
    assert status(plain)["failed"] == 3 and status(plain)["succeeded"] == 1
