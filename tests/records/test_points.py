"""What steps told, read again: beside what they wrote, and of files that hold anything."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import RUNNERS, execute, node, shell, workflow
from tiphys.records import points as reading
from tiphys.records.fold import fold
from tiphys.records.points import points
from tiphys.records.record import EventRecord, Point
from tiphys.store import Store
from tiphys.store.reports import reports_of

Json = Any
NODE = "wf-1"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path)
    made.new_run("wf")
    return made


def flow(*ids: str, **more: Json) -> Json:
    nodes = {each: {"id": each, "type": "Pod", "templateName": "train", **more} for each in ids}
    return {"metadata": {"name": "wf"}, "status": {"nodes": nodes}}


def told(store: Store, text: str, worker: str = "") -> list[Point]:
    folder = Path(reports_of(store.root / "runs" / "wf", NODE, worker))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.jsonl").write_text(text)
    return [each for each in points(store, flow(NODE)) if isinstance(each, Point)]


def test_a_run_that_told_nothing(tmp_path: Path) -> None:
    assert list(points(Store(tmp_path), {"metadata": {"name": "x"}})) == []


def test_a_report_and_a_worker(store: Store) -> None:
    found = told(store, '{"at": 5.5, "epoch": 3, "of": 10, "accuracy": 0.91}\n', "worker-1")
    assert found == [
        Point(NODE, 5.5, "epoch", 3.0, 3, "worker-1"),
        Point(NODE, 5.5, "of", 10.0, 3, "worker-1"),
        Point(NODE, 5.5, "accuracy", 0.91, 3, "worker-1"),
    ]


def test_a_line_without_a_time_has_that_of_the_one_before_or_the_files(store: Store) -> None:
    first, second, third = told(store, '{"a": 1}\n{"at": 7, "a": 2}\n{"a": 3}\n')
    file = Path(reports_of(store.root / "runs" / "wf", NODE)) / "report.jsonl"
    assert (first.at, second.at, third.at) == (file.stat().st_mtime, 7.0, 7.0)


HOSTILE = [
    "",
    "\n\n\n",
    '{"a": 1, "at": 3',
    "[1, 2]\n7\nnull\n",
    '{"a": NaN, "b": Infinity, "c": -Infinity, "d": true, "e": "1", "f": null, "g": [1], "h": {"x": 1}}',
    '{"a": 1e999, "b": ' + "9" * 400 + "}",
    '{"' + "k" * 100 + '": 1}',
    '{"memory": 1, "peak_memory": 1, "cpu": 1, "received": 1, "sent": 1}',
    '{"a": "' + "x" * 20_000 + '"}',
    "[" * 5_000,
    "\x00\xff\x80",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_report_is_passed_over(store: Store, text: str) -> None:
    found = told(store, f'{{"at": 1, "x": 1}}\n{text}\n{{"at": 2, "x": 2}}\n')
    assert [(each.key, each.value) for each in found] == [("x", 1.0), ("x", 2.0)]


def test_numbers_that_mean_something_may_be_of_any_type(store: Store) -> None:
    lines = ['{"x": 1, "at": "now", "epoch": "3", "worker": 3}', '{"x": 1, "epoch": 1e99, "worker": "../x"}']
    for each in told(store, "\n".join(lines)):
        assert (each.key in ("x", "epoch"), each.epoch, each.worker) == (True, 0, "")


def test_of_a_long_file_the_end_counts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST", 10)
    text = "".join(f'{{"at": {n}, "x": {n}}}\n' for n in range(1000))
    assert [each.value for each in told(store, text)] == list(map(float, range(990, 1000)))
    monkeypatch.setattr(reading, "_LARGEST", 100)
    assert [each.value for each in told(store, text)] == [996.0, 997.0, 998.0, 999.0]


def test_what_is_no_file_is_not_opened(store: Store, tmp_path: Path) -> None:
    folder = Path(reports_of(store.root / "runs" / "wf", NODE))
    folder.mkdir(parents=True)
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "link.jsonl").symlink_to("/etc/passwd")
    (folder / "folder.jsonl").mkdir()
    records = store.volume("data") / "records" / "wf"
    records.mkdir(parents=True)
    os.mkfifo(records / "wf-train-1.jsonl")
    assert list(points(store, flow(NODE))) == []


def test_files_of_a_volume_are_those_of_pods_and_of_trainings_by_their_keys(store: Store) -> None:
    records = store.volume("data") / "records" / "wf"
    records.mkdir(parents=True)
    for name in ("wf-train-1", "cnn-abc.worker-1", "wf-train-7"):
        (records / f"{name}.jsonl").write_text('{"at": 50, "x": 1}\n{"at": 250, "x": 2}\n')
    key = {"parameters": [{"name": "key", "value": "cnn-abc"}]}
    attempts = flow("wf-1", "wf-2", "wf-3")
    for identity, second in (("wf-2", "00:01:40"), ("wf-3", "00:03:20")):
        attempts["status"]["nodes"][identity] |= {"inputs": key, "startedAt": f"1970-01-01T{second}Z"}
    found = {(each.node, each.worker, each.at) for each in points(store, attempts)}
    assert found == {
        ("wf-1", "", 50.0),
        ("wf-1", "", 250.0),
        ("wf-2", "worker-1", 50.0),
        ("wf-3", "worker-1", 250.0),
    }


def test_what_another_run_of_the_name_told_in_a_volume_is_not_its_own(store: Store) -> None:
    records = store.volume("data") / "records" / "wf"
    records.mkdir(parents=True)
    lines = "".join(f'{{"at": {at}, "x": 1}}\n' for at in (50, 150, 250))
    (records / "wf-train-1.jsonl").write_text(lines)
    run = flow(NODE)
    run["metadata"]["creationTimestamp"] = "1970-01-01T00:01:40Z"
    run["status"]["finishedAt"] = "1970-01-01T00:03:20Z"
    assert [each.at for each in points(store, run)] == [150.0]


def test_samples_and_events(store: Store) -> None:
    lines: list[Json] = [
        {"at": 1, "node": NODE, "cpu": 2, "memory": 3, "peak_memory": 4},
        {"at": 2, "node": NODE, "event": "failed", "worker": "worker-0", "exit_code": 137},
        {"at": 3, "node": "another", "cpu": 2},
        {"at": "x", "node": NODE, "cpu": 2},
        {"at": 3, "node": NODE, "worker": 7, "cpu": 2},
        {"at": 3, "node": ["x"]},
    ]
    path = store.root / "runs" / "wf" / "samples.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    assert list(points(store, flow(NODE))) == [
        Point(NODE, 1.0, "memory", 3.0),
        Point(NODE, 1.0, "peak_memory", 4.0),
        Point(NODE, 1.0, "cpu", 2.0),
        EventRecord(NODE, 2.0, "failed", "", "worker-0", 137),
    ]


GANG = """
case "$TF_CONFIG" in *'"index":1'*) me=1 ;; *) me=0 ;; esac
echo "{\\"epoch\\": 1, \\"of\\": 4, \\"loss\\": 0.$me}" >> "$TIPHYS_REPORT"
if test $me = 1; then mkdir /notes/once 2>/dev/null && sh -c 'kill -9 $PPID'; fi
until test -e /notes/once; do sleep 0.02; done; sleep 0.7
"""


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_gang_whose_worker_was_killed(runner: str, tmp_path: Path) -> None:
    """What a restart was is known afterwards: which worker, with what code, and how long it was away."""
    container = {
        "name": "tensorflow",
        "image": "tiphys/step:test",
        "command": ["sh", "-c", GANG],
        "volumeMounts": [{"name": "notes", "mountPath": "/notes"}],
    }
    volumes = [{"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}]
    template = {"spec": {"containers": [container], "volumes": volumes}}
    worker = {"replicas": 2, "restartPolicy": "ExitCode", "template": template}
    manifest = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": "job"},
        "spec": {"successPolicy": "AllWorkers", "tfReplicaSpecs": {"Worker": worker}},
    }
    step = {
        "action": "create",
        "manifest": json.dumps(manifest),
        "successCondition": "status.replicaStatuses.Worker.succeeded == 2",
    }
    result = execute(tmp_path, workflow({"name": "main", "resource": step}), runner=runner)
    assert result.succeeded, result.message
    assert node(result, result.name)["progress"] == "4/4"
    (found,) = fold(result.workflow, points(Store(tmp_path / "store"), result.workflow)).steps
    assert found.metrics["loss"] == 0.0  # the first worker's
    assert {(each.worker, each.value) for each in found.points if each.key == "loss"} == {
        ("worker-0", 0.0),
        ("worker-1", 0.1),
    }
    assert {each.worker for each in found.points if each.key == "cpu"} == {"worker-0", "worker-1"}
    of_one = [(each.event, each.exit_code) for each in found.events if each.worker == "worker-1"]
    assert of_one == [("started", None), ("failed", 137), ("started", None), ("succeeded", None)]
    failed, again = [each for each in found.events if each.worker == "worker-1"][1:3]
    assert 0.1 < again.lost == pytest.approx(again.at - failed.at, abs=0.01)


def test_what_a_shell_told_is_what_is_known_of_it(tmp_path: Path) -> None:
    script = """echo '{"at": 12, "epoch": 1, "of": 1, "loss": 0.5}' >> "$TIPHYS_REPORT" """
    result = execute(tmp_path, workflow(shell("main", script)))
    (step,) = fold(result.workflow, points(Store(tmp_path / "store"), result.workflow)).steps
    assert step.metrics["loss"] == 0.5 and "epoch" not in step.metrics
    assert [each.at for each in step.points if each.key == "loss"] == [12.0]
