"""Pods that wait for GPUs: what becomes of those that are not to start any more, and when their time begins."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.engine.gpus import TELL, A, B, gpu, machine
from tests.engine.harness import Recorder, dag, execute, node, shell, wait_until, workflow
from tests.engine.test_steps_with_gpus import engine, finished, held, lines
from tiphys.engine import NodeChanged


def test_a_step_that_is_stopped_while_it_waits_leaves_the_queue(tmp_path: Path, give: Any) -> None:
    give(A, B)
    tasks = [{"name": name, "template": name} for name in ("a-holds", "b-waits", "c-behind")]
    holds = gpu(shell("a-holds", "sleep 2"))
    waits = gpu(shell("b-waits", TELL, timeout="500ms"), 2)
    behind = gpu(shell("c-behind", TELL))
    seen = Recorder()
    result = execute(tmp_path, workflow(dag(*tasks), holds, waits, behind), observer=seen)
    assert node(result, "b-waits")["phase"] in ("Failed", "Error")
    ended = [each.node["displayName"] for each in seen.of(NodeChanged) if each.change == "finished"]
    assert ended[:3] == ["b-waits", "c-behind", "a-holds"]  # what it kept for itself is free


def test_the_deadline_of_a_pod_counts_from_when_it_has_its_gpus(tmp_path: Path, give: Any) -> None:
    """As the kubelet, which knows of no pod that has no node (activeDeadlineSeconds: "relative to StartTime")."""
    give(A)
    tasks = [{"name": f"t{at}", "template": "body"} for at in range(3)]
    result = execute(
        tmp_path, workflow(dag(*tasks), gpu(shell("body", "sleep 0.7", activeDeadlineSeconds=1)))
    )
    assert result.succeeded, result.message


def test_at_the_workflows_deadline_nobody_waits_any_more(tmp_path: Path, give: Any) -> None:
    give(A)
    tasks = [{"name": f"t{at}", "template": "body"} for at in range(3)]
    flow = workflow(dag(*tasks), gpu(shell("body", "sleep 60")), activeDeadlineSeconds=1)
    result = execute(tmp_path, flow, grace=0.1)
    assert result.phase == "Failed"
    assert {node(result, f"t{at}")["phase"] for at in range(3)} == {"Failed"}


def test_nor_does_the_next_engine_count_what_a_pod_has_waited(tmp_path: Path) -> None:
    machine(tmp_path, A)
    first = gpu(shell("a-first", "sleep 3", activeDeadlineSeconds=4))
    second = gpu(shell("b-second", held(tmp_path)["spec"]["templates"][0]["container"]["command"][-1]))
    second["activeDeadlineSeconds"] = 4
    tasks = [{"name": name, "template": name} for name in ("a-first", "b-second")]
    killed = engine(tmp_path, "store", workflow(dag(*tasks), first, second))
    wait_until(lambda: lines(tmp_path) == ["begin"])
    killed.kill()
    finished(killed)
    again = engine(tmp_path, "store", None)
    with pytest.raises(subprocess.TimeoutExpired):  # four seconds have passed since it was to start
        again.wait(2)
    (tmp_path / "go").touch()
    assert finished(again) == "Succeeded"
    assert lines(tmp_path) == ["begin", "end"]
