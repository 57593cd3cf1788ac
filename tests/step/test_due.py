"""The step that says whether to train: state in, reasons out; what is measured outlives its run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.registry.test_due import A, B, versions
from tests.runs.test_registry import model
from tiphys.errors import ComponentError
from tiphys.reference import MANIFEST, VOLUMES_ENV, Reference, file_digest
from tiphys.registry.due import DueRules
from tiphys.step.due import Due, due


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "volumes" / "tiphys"
    folder.mkdir(parents=True)
    monkeypatch.setenv(VOLUMES_ENV, json.dumps({"tiphys": str(folder)}))
    return folder


def asked(run: str, measured: str = "", accuracy: float = 0.9) -> Due:
    state = "7 " + versions(accuracy).text()
    return due("m", state, "champion", DueRules(), run, Reference("pvc://tiphys/data", A), measured)


def test_before_the_first_release(volume: Path) -> None:
    said = due("m", "1 ", "champion", DueRules(), "run-1", None, "")
    assert said == Due(
        True,
        ["nothing is served as m@champion"],
        "m: to be trained: nothing is served as m@champion",
        None,
    )


def test_it_hands_on_what_is_served(volume: Path) -> None:
    said = asked("run-1")
    assert (said.due, said.summary) == (False, "m: not now")
    assert said.model == Reference("pvc://tiphys/models/0", A)
    assert not (volume / "measured").exists()


def test_a_run_counts_once_however_often_it_is_tried(volume: Path) -> None:
    assert not asked("run-1", "0.89").due
    for _ in range(5):
        assert not asked("run-2", "0.88").due
    assert not asked("run-2", "0.1").due  # it is what it was at first
    assert not asked("run-3").due  # nothing was measured
    (volume / "measured/m/v1/damaged.json").write_text("{")
    (volume / "measured/m/v1/foreign.json").write_text('{"at": 1, "value": "x"}')
    last = asked("run-4", "0.87")
    assert last.due and "0.9, 0.89, 0.88, 0.87" in last.reasons[0]
    assert sorted(os.listdir(volume / "measured/m/v1")) == [
        "damaged.json", "foreign.json", "run-1.json", "run-2.json", "run-4.json"
    ]  # fmt: skip


def test_data_without_a_digest_is_looked_at(volume: Path) -> None:
    uri = model(volume.parents[1], "data")
    state = "7 " + versions(0.9, data=file_digest(volume / "models/data" / MANIFEST)).text()
    assert not due("m", state, "champion", DueRules(), "run-1", Reference(uri)).due
    other = "7 " + versions(0.9, data=B).text()
    assert (
        due("m", other, "champion", DueRules(), "run-1", Reference(uri)).reasons[0].startswith("new data: ")
    )


def test_what_cannot_be_kept_is_told(volume: Path) -> None:
    (volume / "measured").write_text("a file")
    with pytest.raises(ComponentError, match="TIP707"):
        asked("run-1", "0.9")
