"""Data sets, as their folders describe them: the mission's own writer makes one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.catalog import CLASSES
from components.dataset import Dataset
from components.fingerprint import fingerprint
from components.ingest import ingest
from tiphys.records.datasets import DataSet, datasets
from tiphys.records.record import ArtifactRecord, RunRecord, StepRecord
from tiphys.reference import Reference, seal


def run(uri: str, digest: str = "") -> RunRecord:
    item = ArtifactRecord(uri, digest, "dataset")
    steps = (
        StepRecord("a", "ingest", "t", "Pod", "Succeeded", started=1.0, makes=(item,)),
        StepRecord("b", "train", "t", "Pod", "Succeeded", started=2.0, uses=(item,)),
    )
    return RunRecord("r", "r", "", "", "local", "p", "Succeeded", steps=steps)


def made(root: Path, description: object) -> list[DataSet]:
    folder = root / "datasets" / "d"
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text(
        description if isinstance(description, str) else json.dumps(description)
    )
    return datasets(run("pvc://tiphys/datasets/d", seal(folder)), {"tiphys": str(root)})


def test_what_the_mission_ingested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIPHYS_VOLUMES", json.dumps({"tiphys": str(tmp_path)}))
    source = fingerprint("synthetic", 300).source
    reference = ingest(source, validation_size=100, seed=7, limit=300).dataset
    (found,) = datasets(run(reference.uri, reference.digest), {"tiphys": str(tmp_path)})
    assert found.problem == "" and found.synthetic and found.made_by == ["ingest"]
    assert list(found.classes) == list(CLASSES)
    opened = Dataset.open(Reference(reference.uri, reference.digest))
    for split in found.splits:
        assert split.examples == opened.examples(split.name)  # type: ignore[arg-type]
        # counted in the records themselves
        assert split.columns["label"] == opened.counts(split.name)["label"]  # type: ignore[arg-type]
        assert list(split.columns["label"]) == list(CLASSES) and split.missing == []
    file = next((tmp_path / "datasets").glob("*/train-*"))
    file.write_bytes(b"short")
    (broken,) = datasets(run(reference.uri, reference.digest), {"tiphys": str(tmp_path)})
    assert file.name in broken.problem and broken.splits


def test_a_class_that_is_missing_and_what_else_is_told(tmp_path: Path) -> None:
    splits = {"train": {"examples": 3, "class_counts": {"bag": 3}, "columns": {"day": {"mon": 2, "tue": 1}}}}
    schema = {"fields": [{"name": "label", "classes": ["boot", "bag"]}]}
    (found,) = made(tmp_path, {"splits": splits, "schema": schema, "license": "MIT", "name": "<b>x</b>"})
    (split,) = found.splits
    assert split.missing == ["boot"] and split.columns == {"day": {"mon": 2, "tue": 1}, "label": {"bag": 3}}
    assert (found.license, found.name, found.synthetic) == ("MIT", "<b>x</b>", False)


ODD: list[Any] = ["{", "[]", {"splits": []}, {"splits": {"train": 3}}, {"schema": {"fields": [3]}}]


@pytest.mark.parametrize("description", ODD)
def test_what_says_nothing_is_told_as_that(description: object, tmp_path: Path) -> None:
    (found,) = made(tmp_path, description)
    assert all(not split.columns for split in found.splits) and found.classes == []
    assert bool(found.problem) == (description == "{")


def test_one_that_is_gone_or_not_here(tmp_path: Path) -> None:
    (gone,) = datasets(run("pvc://tiphys/datasets/x"), {"tiphys": str(tmp_path)})
    (elsewhere,) = datasets(run("pvc://other/datasets/x"), {"tiphys": str(tmp_path)})
    assert gone.problem and elsewhere.problem and not gone.splits
    assert datasets(run("pvc://tiphys/models/x"), {"tiphys": str(tmp_path)}) == []
