"""What ``tiphys lineage`` prints, of runs that really ran."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tests.records.test_lineage import judge, model, raw
from tiphys.cli import main
from tiphys.engine import RunOptions

URI = "pvc://tiphys/models/m"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with tiphys.Pipeline("words") as pipeline:
        judge(model=model(data=raw(words=pipeline.param("words", "some"))))
    folder = tmp_path_factory.mktemp("lineage") / "store"
    assert tiphys.run(pipeline, options=RunOptions(store=folder, name="one")).succeeded
    return folder


def test_a_tree(store: Path, capsys: Any) -> None:
    capsys.readouterr()
    assert main(["lineage", URI, "--store", str(store)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  sha256")[0] for line in lines[:5]] == [
        URI,
        "  model of one",
        "    pvc://tiphys/raw/a",
        "      raw of one",
        "        run one  Succeeded",
    ]
    assert lines[5].startswith("          environment python")
    assert main(["lineage", URI, "--down", "--store", str(store)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["  judge of one", "    report accuracy 0.5"]


def test_the_names_under_which_it_is_served(store: Path, capsys: Any) -> None:
    registry = tiphys.Registry(store)
    made = registry.register("words", URI)
    assert main(["lineage", URI, "--down", "--store", str(store)]) == 0
    assert "  version 1 of words  sha256:" in capsys.readouterr().out
    registry.alias("words", "champion", made.number)
    registry.alias("words", "next", made.number)
    assert main(["lineage", "one", "--down", "--store", str(store)]) == 0
    told = [line.split("  sha256")[0].strip() for line in capsys.readouterr().out.splitlines()]
    assert "served as words@champion (version 1)" in told and "served as words@next (version 1)" in told
    assert main(["lineage", "words", "--down", "--store", str(store)]) == 1  # a model's name is no run's
    (store / "models.db").unlink()


def test_a_graph(store: Path, capsys: Any, tmp_path: Path) -> None:
    capsys.readouterr()
    assert main(["lineage", "one", "--json", "--store", str(store)]) == 0
    found = json.loads(capsys.readouterr().out)
    labels = {thing["id"]: thing["label"] for thing in found["things"]}
    assert labels[found["root"]] == "one  Succeeded"
    assert [labels[each] for each in found["edges"][found["root"]] if each.startswith("artifact")] == [URI]
    file = tmp_path / "drawn.mmd"
    assert main(["lineage", URI, "--format", "mermaid", "-o", str(file), "--store", str(store)]) == 0
    assert file.read_text().startswith("flowchart LR\n")
    assert main(["lineage", URI, "--format", "openlineage", "-o", str(file), "--store", str(store)]) == 0
    events = [json.loads(line) for line in file.read_text().splitlines()]
    made = {data["name"] for event in events for data in event.get("outputs", ())}
    assert {"models/m", "raw/a"} <= made


def test_what_was_changed_is_told(store: Path, capsys: Any) -> None:
    words = store / "volumes" / "tiphys" / "raw" / "a" / "words.txt"
    before = words.read_text()
    words.write_text("evil")
    capsys.readouterr()
    assert main(["lineage", URI, "--store", str(store)]) == 1
    told = capsys.readouterr()
    assert "pvc://tiphys/raw/a  sha256:" in told.out
    assert "NOT WHAT IT WAS" in told.out
    assert told.err == "not what it was: pvc://tiphys/raw/a: words.txt has another content than recorded\n"
    assert main(["lineage", URI, "--no-check", "--store", str(store)]) == 0
    words.write_text(before)


def test_what_nobody_made(store: Path, capsys: Any) -> None:
    capsys.readouterr()
    assert main(["lineage", URI + "x", "--store", str(store)]) == 1
    assert f"Did you mean '{URI}'" in capsys.readouterr().err
    assert main(["lineage", URI, "--up", "--down", "--store", str(store)]) == 2
