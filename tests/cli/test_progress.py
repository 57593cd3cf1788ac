"""What is shown of a run that goes on, where there is no terminal."""

from __future__ import annotations

import io

from tiphys.cli.progress import LineProgress
from tiphys.engine import LogLine, NodeChanged, ReplicaChanged, RunStarted

NODE = {"id": "run-1", "name": "run.train", "displayName": "train", "type": "Pod", "phase": "Running"}


def shown(*lines: tuple[float, str], logs: bool = False, worker: int = 0) -> list[str]:
    stream = io.StringIO()
    progress = LineProgress(stream, logs=logs)
    progress(RunStarted(100.0, "run", "/store/runs/run"))
    progress(NodeChanged(100.0, "started", NODE))
    for at, text in lines:
        progress(LogLine(at, f"run-train-worker-{worker}", text))
    progress(NodeChanged(160.0, "finished", {**NODE, "phase": "Succeeded"}))
    progress.close()
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


def test_a_line_for_each_change_and_each_epoch() -> None:
    lines = shown(
        (101.0, "reading the data"),
        (110.0, "epoch 1/3: loss 0.61"),
        (120.0, "epoch 2/3: loss 0.44"),
        (121.0, "2026-01-01 00:00:00.1: I tensorflow/core/x.cc:99] 1/2 devices"),
    )
    assert lines == [
        "0:00 run starts",
        "0:00 train started",
        "0:10 train-worker-0 | epoch 1/3: loss 0.61",
        "0:20 train-worker-0 | epoch 2/3: loss 0.44",
        "1:00 train succeeded",
    ]


def test_a_bar_that_moves_fast_is_shown_once_a_second() -> None:
    lines = shown(*((110.0 + 0.1 * step, f"downloaded {step} %") for step in range(25)))
    assert lines[2:-1] == [
        "0:10 train-worker-0 | downloaded 0 %",
        "0:11 train-worker-0 | downloaded 10 %",
        "0:12 train-worker-0 | downloaded 20 %",
    ]


def test_the_first_worker_speaks_for_its_gang() -> None:
    assert len(shown((101.0, "epoch 1/3"), worker=1)) == 3
    assert len(shown((101.0, "epoch 1/3"), worker=1, logs=True)) == 4


def test_servers_and_workers_go_by_short_names() -> None:
    stream = io.StringIO()
    progress = LineProgress(stream)
    progress(RunStarted(100.0, "run-x2x", "/store/runs/run"))
    progress(
        ReplicaChanged(101.0, "Deployment", "run-x2x-cnn", "run-x2x-cnn-5f-abcde", "ready", "127.22.0.1")
    )
    assert "Deployment cnn cnn-5f-abcde ready: 127.22.0.1" in stream.getvalue()


def test_logs_show_all_lines() -> None:
    assert len(shown((101.0, "reading"), (101.1, "1/2"), (101.2, "2/2"), logs=True)) == 6


def test_a_steps_lines_begin_with_its_name_not_with_the_id_of_its_node() -> None:
    stream = io.StringIO()
    progress = LineProgress(stream, logs=True)
    progress(RunStarted(100.0, "run", "/store/runs/run"))
    progress(NodeChanged(100.0, "started", {**NODE, "id": "run-1833372814", "name": "run.cnn.train"}))
    attempt = {**NODE, "id": "run-77", "name": "run.fit(0)", "nodeFlag": {"retried": True}}
    progress(NodeChanged(100.0, "started", attempt))
    for source in ("run-1833372814", "run-1833372814.sidecar", "run-77", "run-train-worker-0"):
        progress(LogLine(101.0, source, "hello"))
    lines = [line.split(None, 1)[1] for line in stream.getvalue().splitlines()[2:]]
    assert lines == [
        "cnn.train | hello",
        "cnn.train.sidecar | hello",
        "fit(0) | hello",
        "train-worker-0 | hello",
    ]
