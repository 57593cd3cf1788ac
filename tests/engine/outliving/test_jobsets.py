"""The pods of a JobSet outlive their engine as the workers of a TFJob do."""

from __future__ import annotations

import threading
from typing import Any

from tests.engine.harness import node, wait_until, workflow
from tests.engine.outliving.test_objects import UNTIL, WORKER, made, pod, status, words
from tests.engine.outliving.world import World

Json = Any
WHO = "n=$JOB_COMPLETION_INDEX; "


def train(world: World, line: str, **job: Json) -> dict[str, Json]:
    spec = {
        "completionMode": "Indexed",
        "parallelism": 2,
        "completions": 2,
        **job,
        "template": {"spec": pod(world, WHO + line, restartPolicy="Never")},
    }
    manifest = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": "job"},
        "spec": {"replicatedJobs": [{"name": "worker", "template": {"spec": spec}}]},
    }
    return made("main", manifest, "status.terminalState == Completed", "status.terminalState == Failed")


def test_pods_that_run_when_the_engine_is_killed_run_once(world: World) -> None:
    world.start(workflow(train(world, WORKER)))
    wait_until(lambda: len(world.seen("began")) == 2)
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert sorted(world.seen("began")) == sorted(world.seen("ended")) == ["0", "1"]
    for each in ("0", "1"):
        assert words(world, f"job-worker-0-{each}") == [f"one {each}", f"two {each}"]
    assert [each["type"] for each in status(world)["conditions"]] == ["Completed"]
    assert not world.alive()


def test_one_that_failed_while_nobody_watched_is_started_anew_once(plain: World) -> None:
    line = (
        f"echo $n >> /notes/began; {UNTIL}"
        "test $n = 1 && ! test -e /notes/failed && { echo x >> /notes/failed; exit 138; }; "
        "until test -e /notes/on; do sleep 0.02; done; echo $n >> /notes/ended"
    )
    plain.start(workflow(train(plain, line, backoffLimit=1)))
    wait_until(lambda: len(plain.seen("began")) == 2)
    plain.freeze()
    plain.let_go()
    plain.wait_for("failed")
    plain.kill()
    threading.Timer(0.5, lambda: plain.let_go("on")).start()
    result = plain.resume()
    assert result.succeeded, result.message
    assert sorted(plain.seen("began")) == ["0", "1", "1"] and sorted(plain.seen("ended")) == ["0", "1"]


def test_failures_before_the_kill_still_count(plain: World) -> None:
    """Worker 0 failed once under each engine: that is one more than the limit."""
    line = "test $n = 1 && exec sleep 1000; echo x >> /notes/began; k=$(wc -l < /notes/began | tr -d ' '); "
    line += "until test -e /notes/$k; do sleep 0.02; done; exit 138"
    plain.start(workflow(train(plain, line, backoffLimit=1)))
    plain.wait_for("began")
    plain.let_go("1")
    wait_until(lambda: len(plain.seen("began")) == 2)
    plain.kill()
    plain.let_go("2")
    result = plain.resume()
    assert result.phase == "Failed"
    assert len(plain.seen("began")) == 2
    assert "failure condition '{status.terminalState == [Failed]}'" in node(result, "wf")["message"]
    assert not plain.alive()
