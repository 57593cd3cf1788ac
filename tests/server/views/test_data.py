"""Data sets of a run that really ran, and one that is gone."""

from __future__ import annotations

from tests.server.views.made import EVIL, store
from tiphys.records.record import ArtifactRecord, RunRecord, StepRecord
from tiphys.runs.records import Records
from tiphys.server.views.data import data_parts
from tiphys.store import Store


def test_counts_licence_and_what_is_missing() -> None:
    data, slices = data_parts(Records(store()).get("one"), Store(store()).volumes())
    what, by_label = data.grids
    assert data.title == EVIL and f"No {EVIL} in test." in data.warnings
    assert {row[0].text: row[1].text for row in what.rows}["licence"] == "MIT"
    assert list(by_label.head) == ["label", "train", "test"]  # the largest first
    assert [[cell.text for cell in row] for row in by_label.rows] == [
        ["bag", "4", "2"],
        [EVIL, "1", "–"],
        ["all", "5", "2"],
    ]
    assert "<script" not in data.drawings[0] and f"{EVIL} 40.00%" in slices.notes[0]


def test_one_that_is_gone_is_told() -> None:
    item = ArtifactRecord("pvc://tiphys/datasets/gone")
    step = StepRecord("n", "s", "t", "Pod", "Succeeded", uses=(item,), metrics={"arrived": 3.0})
    (part,) = data_parts(RunRecord("r", "r", "", "", "local", "p", "Succeeded", steps=(step,)), {})
    assert "Not what it was" in part.warnings[0] and part.grids[-1].rows[0][1].text == "3"
