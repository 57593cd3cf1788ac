"""What TFJobs and JobSets have in common: a gang starts as a whole, and who is lost is started anew."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import Recorder, execute, marked, node, wait_until, workflow
from tests.engine.objects.test_jobset import CODES, jobset
from tests.engine.objects.test_jobset import waiting as waiting_for_set
from tests.engine.test_resources import tfjob, waiting
from tiphys.engine import ReplicaChanged

Json = Any


def job_of(kind: str, script: str, here: Path) -> dict[str, Json]:
    """A step that waits for a job of one worker."""
    if kind == "JobSet":
        env = {"HERE": str(here)}
        return waiting_for_set(jobset(script, workers=1, env=env, backoffLimit=9, podFailurePolicy=CODES))
    given = [{"name": "HERE", "value": str(here)}]
    return waiting(tfjob(script, replicas=1, env=given, worker={"restartPolicy": "ExitCode"}), workers=1)


@pytest.mark.parametrize("kind", ["TFJob", "JobSet"])
def test_a_worker_that_is_killed_is_started_anew(tmp_path: Path, kind: str) -> None:
    mark = f"gang-mark-{os.getpid()}-{tmp_path.name}"
    (tmp_path / mark).touch()
    script = f'cd "$HERE"; test -e again || {{ touch again; exec tail -f /dev/null {mark}; }}'
    seen = Recorder()

    def kill() -> None:
        wait_until((tmp_path / "again").exists)
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    result = execute(tmp_path, workflow(job_of(kind, script, tmp_path)), observer=seen)
    thread.join()
    assert result.succeeded, result.message
    told = seen.of(ReplicaChanged)
    assert [each.state for each in told] == ["started", "failed", "started", "succeeded"]
    assert {each.kind for each in told} == {kind}
    assert told[1].message == "exit code 137, to be restarted"


@pytest.mark.parametrize("kind", ["TFJob", "JobSet"])
def test_one_that_fails_for_good_is_told_as_such(tmp_path: Path, kind: str) -> None:
    seen = Recorder()
    assert execute(tmp_path, workflow(job_of(kind, "exit 2", tmp_path)), observer=seen).phase == "Failed"
    assert [(each.state, each.message) for each in seen.of(ReplicaChanged)] == [
        ("started", ""),
        ("failed", "exit code 2"),
    ]


@pytest.mark.parametrize("kind", ["TFJob", "JobSet"])
def test_one_that_was_started_anew_may_still_fail_for_good(tmp_path: Path, kind: str) -> None:
    seen = Recorder()
    script = 'cd "$HERE"; test -e again || { touch again; exit 138; }; exit 2'
    result = execute(tmp_path, workflow(job_of(kind, script, tmp_path)), observer=seen)
    assert "failure condition" in node(result, result.name)["message"]
    assert [(each.state, each.message) for each in seen.of(ReplicaChanged)] == [
        ("started", ""),
        ("failed", "exit code 138, to be restarted"),
        ("started", ""),
        ("failed", "exit code 2"),
    ]
