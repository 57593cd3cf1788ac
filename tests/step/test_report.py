"""What a step tells, read back by ``json`` line by line."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tiphys
from tiphys.errors import RefusedError
from tiphys.step import report as reporting
from tiphys.step.report import keras_report, report, told_by, worker_name


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TF_CONFIG", "JOB_COMPLETION_INDEX", "ARGO_PROGRESS_FILE", "TIPHYS_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(reporting, "_last", {})
    path = tmp_path / "records" / "pod.jsonl"
    monkeypatch.setenv("TIPHYS_REPORT", str(path))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_for_each_call(told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGO_PROGRESS_FILE", str(tmp_path / "progress"))
    monkeypatch.setenv("TIPHYS_SUMMARY", str(tmp_path / "out" / "summary"))
    tiphys.report(epoch=3, of=10, accuracy=0.91, examples=60000)
    assert (tmp_path / "progress").read_text() == "3/10\n"
    report(loss=0.25)
    first, second = lines(told)
    assert {**first, "at": 0} == {"at": 0, "epoch": 3, "of": 10, "accuracy": 0.91, "examples": 60000}
    assert {**second, "at": 0} == {"at": 0, "loss": 0.25}
    assert 0 <= second["at"] - first["at"] < 60
    assert json.loads((tmp_path / "out" / "summary").read_text()) == {
        "accuracy": 0.91,
        "examples": 60000,
        "loss": 0.25,
    }
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out", "progress", "records"]


def test_a_summary_has_at_most_four_kilobytes(
    told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPHYS_SUMMARY", str(tmp_path / "summary"))
    for number in range(400):
        report(**{f"a_name_that_is_quite_long_{number}": number})
    kept = json.loads((tmp_path / "summary").read_text())
    assert (tmp_path / "summary").stat().st_size <= 4096
    assert kept["a_name_that_is_quite_long_399"] == 399 and len(kept) > 80


def test_what_float_takes_is_a_number(told: Path) -> None:
    numpy = pytest.importorskip("numpy")
    report(a=numpy.float32(0.5), b=numpy.array([2]).sum(), c=True)
    assert {**lines(told)[0], "at": 0} == {"at": 0, "a": 0.5, "b": 2, "c": 1}


@pytest.mark.parametrize(
    "values",
    [
        {"loss": math.nan},
        {"loss": math.inf},
        {"loss": "0.5"},
        {"loss": None},
        {"loss": [1, 2]},
        {"loss": 10**400},
        {"at": 3.0},
        {"memory": 1.0},
        {"epoch": -1},
        {"epoch": 2.5},
        {"epoch": 3, "of": 2},
        {f"n{number}": 0.123456789 for number in range(300)},
    ],
    ids=str,
)
def test_what_cannot_be_told_is_refused_where_it_is_said(told: Path, values: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="TIP244"):
        report(**values)
    assert not told.exists()


def test_without_a_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIPHYS_REPORT", raising=False)
    monkeypatch.chdir(tmp_path)
    report(epoch=1, of=2)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["/dev/full", "/proc/nothing/x.jsonl"])
def test_what_cannot_be_written_is_said_once(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIPHYS_REPORT", path)
    monkeypatch.setattr(reporting, "_said", set())
    report(epoch=1)
    report(epoch=2)
    assert capsys.readouterr().err.count(path) == 1


def test_a_line_that_a_killed_one_left_half_stays_alone(told: Path) -> None:
    told.parent.mkdir()
    told.write_text('{"at": 1, "loss": 0.')
    report(loss=1)
    assert told.read_text().splitlines()[0] == '{"at": 1, "loss": 0.'
    assert json.loads(told.read_text().splitlines()[1])["loss"] == 1


def test_what_was_told_is_there_after_a_kill(told: Path) -> None:
    code = "import os, tiphys\nfor n in range(1, 51): tiphys.report(epoch=n, of=50)\nos.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [line["epoch"] for line in lines(told)] == list(range(1, 51))


def test_writers_at_once_do_not_mix(told: Path) -> None:
    code = "import sys, tiphys\nfor n in range(200): tiphys.report(**{'v' * 50: n, sys.argv[1]: 1})"
    writers = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "abc"]
    assert [each.wait(60) for each in writers] == [0, 0, 0]
    assert len(lines(told)) == 600


@pytest.mark.parametrize(
    ("rank", "nodes", "name"),
    [("0", "2", "master-0"), ("1", "2", "worker-0"), ("0", "1", ""), ("x", "2", "")],
)
def test_a_worker_of_a_pytorchjob_is_called_as_its_pod(
    rank: str, nodes: str, name: str, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PET_NODE_RANK", rank)
    monkeypatch.setenv("PET_NNODES", nodes)
    assert worker_name() == name


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, ""),
        ({"TF_CONFIG": '{"cluster": {}, "task": {"type": "worker", "index": 1}}'}, "worker-1"),
        ({"TF_CONFIG": '{"task": {"type": "chief", "index": "0"}}'}, "chief-0"),
        ({"TF_CONFIG": '{"task": {"type": "../../x", "index": 1}}'}, ""),
        ({"TF_CONFIG": '{"task": 3}', "JOB_COMPLETION_INDEX": "2"}, "worker-2"),
        ({"JOB_COMPLETION_INDEX": "x"}, ""),
    ],
)
def test_a_worker_tells_in_a_file_of_its_own(
    variables: dict[str, str], name: str, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in variables.items():
        monkeypatch.setenv(*each)
    assert worker_name() == name
    report(loss=1)
    assert [each.name for each in told.parent.iterdir()] == [f"pod.{name}.jsonl" if name else "pod.jsonl"]
    assert told_by("/x/y", "worker-1") == "/x/y.worker-1"


def test_a_step_that_does_not_report_imports_nothing_of_it() -> None:
    code = "import sys, tiphys, tiphys.step.runner; print('tiphys.step.report' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_keras_reports_each_epoch(told: Path) -> None:
    class Callback:
        params: dict[str, int]

    keras: Any = SimpleNamespace(callbacks=SimpleNamespace(Callback=Callback))
    callback: Any = keras_report(keras)
    callback.params = {"epochs": 2}
    for epoch in range(2):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"loss": 0.5 - epoch / 10, "lr": math.nan, "memory": 3})
    found = [{**line, "at": 0, "seconds": 0} for line in lines(told)]
    assert found == [
        {"at": 0, "epoch": 1, "of": 2, "seconds": 0, "loss": 0.5},
        {"at": 0, "epoch": 2, "of": 2, "seconds": 0, "loss": 0.4},
    ]


def test_keras_is_that_which_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("keras", "tf_keras"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(RefusedError, match="TIP245"):
        keras_report()
