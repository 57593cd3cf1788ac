"""Who comes after a killed engine, and what becomes of the steps that outlived it: locks, retry, other verbs."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from tests.engine.harness import (
    dag,
    out,
    shell,
    value,
    wait_until,
    workflow,
)
from tests.engine.outliving.world import BODY, World
from tiphys.engine import RunOptions, run
from tiphys.engine.runtime.retry import prepare_retry
from tiphys.runs.client import Client
from tiphys.runs.local.backend import LocalRuns


def test_an_interrupt_still_ends_all_at_once(plain: World) -> None:
    plain.start(workflow(shell("main", "echo x >> /notes/began; exec sleep 1000")))
    plain.wait_for("began")
    assert plain.engine is not None
    plain.engine.send_signal(signal.SIGTERM)
    plain.engine.communicate(timeout=30)
    assert not plain.alive() and not plain.keepers()


def elsewhere(plain: World, code: str) -> subprocess.Popen[str]:
    """Something that another process does with the store, and prints."""
    begin = (
        "import json, sys\nfrom tiphys.engine import RunOptions, resume, run\nfrom tiphys.runs.client import Client\n"
        f"store = {str(plain.store)!r}\noptions = RunOptions(store=store, name='other', handle_signals=False)\n"
    )
    return subprocess.Popen([sys.executable, "-c", begin + code], stdout=subprocess.PIPE, text=True)


def test_a_mutex_is_held_as_long_as_a_step_lives(plain: World) -> None:
    """The engine of the first run is killed inside the mutex: the second run waits for the step, not for the engine."""
    mutex = {"mutexes": [{"name": "only-one"}]}
    plain.start(workflow(shell("main", BODY, synchronization=mutex)))
    plain.wait_for("began")
    plain.kill()
    flow = workflow(
        shell("main", "ls /notes > /notes/second", synchronization=mutex),
        volumes=[{"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}],
    )
    flow["spec"]["templates"][0]["container"]["volumeMounts"] = [{"name": "notes", "mountPath": "/notes"}]
    other = elsewhere(plain, f"print(run(json.loads({json.dumps(flow)!r}), options=options).phase)")
    time.sleep(3)
    assert other.poll() is None and not plain.seen("second")
    plain.let_go()
    assert plain.resume().succeeded
    assert other.communicate(timeout=30)[0].strip() == "Succeeded"
    assert "ended" in plain.seen("second")
    assert plain.seen("ended") == ["x"]


def test_a_mutex_is_free_when_the_steps_are_gone(plain: World) -> None:
    mutex = {"mutexes": [{"name": "only-one"}]}
    plain.start(workflow(shell("main", BODY, synchronization=mutex)), grace=2)
    plain.wait_for("began")
    plain.kill()
    began = time.monotonic()
    flow = workflow(shell("main", "true", synchronization=mutex))
    other = elsewhere(plain, f"print(run(json.loads({json.dumps(flow)!r}), options=options).phase)")
    assert other.communicate(timeout=30)[0].strip() == "Succeeded"
    assert time.monotonic() - began > 1.5
    assert not plain.alive()
    with contextlib.closing(sqlite3.connect(plain.store / "locks.db")) as table:
        assert [
            table.execute(f"SELECT * FROM {each}").fetchall() for each in ("holders", "waiters", "heirs")
        ] == [
            [],
            [],
            [],
        ]


def test_a_retry_of_what_was_only_killed_is_a_resume(plain: World) -> None:
    plain.start(
        workflow(
            dag({"name": "a", "template": "long"}, {"name": "b", "template": "short", "depends": "a"}),
            shell("long", BODY, outputs=out("x")),
            shell("short", "echo x >> /notes/short"),
        )
    )
    plain.wait_for("began")
    plain.kill()
    threading.Timer(1, plain.let_go).start()
    result = prepare_retry("wf", options=RunOptions(store=plain.store, handle_signals=False)).execute()
    assert result.succeeded, result.message
    assert plain.seen("began") == plain.seen("ended") == plain.seen("short") == ["x"]
    assert value(result, "a", "x") == "made"


@pytest.mark.parametrize("verb", ["delete", "retry", "run again", "stop", "terminate"])
def test_what_takes_a_run_over_ends_its_steps(plain: World, verb: str) -> None:
    """No step of the killed engine writes into a folder that was removed, renamed or begun anew."""
    flow = workflow(
        dag({"name": "a", "template": "long"}, {"name": "b", "template": "bad"}),
        shell("long", BODY, outputs=out("x")),
        shell("bad", "echo x >> /notes/bad; exit 1") if verb == "retry" else shell("bad", "true"),
    )
    flow["spec"]["templates"][0]["dag"]["failFast"] = False
    plain.start(flow)
    plain.wait_for("began")
    if verb == "retry":  # what failed is tried again
        plain.wait_for("bad")
        time.sleep(0.5)
    plain.kill()
    before = plain.alive()
    assert before
    client = Client(backend=LocalRuns(RunOptions(store=plain.store, handle_signals=False)), namespace="argo")
    if verb == "delete":
        client.delete("wf")
        assert not (plain.store / "runs" / "wf").exists()
    elif verb == "run again":
        flow = workflow(shell("main", "true"))
        assert run(flow, options=RunOptions(store=plain.store, name="wf", handle_signals=False)).succeeded
        assert (plain.store / "runs" / "wf.1").exists()
    elif verb == "retry":
        threading.Timer(2, plain.let_go).start()
        assert client.retry("wf").phase == "Failed"
        assert plain.seen("began") == plain.seen("bad") == ["x", "x"] and plain.seen("ended") == ["x"]
    elif verb == "stop":
        assert client.stop("wf").phase == "Failed"
    else:
        assert client.terminate("wf")[0].phase == "Failed"
    assert not plain.alive()
    wait_until(lambda: not plain.keepers(), 5)
    assert "x" not in plain.seen("ended") or verb == "retry"
