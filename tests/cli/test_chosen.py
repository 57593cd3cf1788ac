"""Which runs are meant: by name, by condition, all; one that cannot be read does not hide the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tiphys
from tiphys.cli import main
from tiphys.engine import RunOptions

SLEEP = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: nap-}
spec:
  entrypoint: main
  arguments: {parameters: [{name: number, value: "1"}]}
  templates:
  - name: main
    container:
      image: python:3.12
      command: [sh, -c]
      args: ["sleep 1.1"]
      resources: {requests: {cpu: "2"}}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("naps")
    (folder / "nap.yaml").write_text(SLEEP)
    for number in (1, 2):
        options = RunOptions(store=folder / "store", images={"python*": "host"}, name=f"nap-{number}")
        assert tiphys.run(folder / "nap.yaml", options=options, number=number).succeeded
    return folder / "store"


def keys(capsys: pytest.CaptureFixture[str], store: Path, *words: str) -> list[str]:
    capsys.readouterr()
    assert main(["cost", *words, "--json", "--store", str(store)]) == 0
    return [run["key"] for run in json.loads(capsys.readouterr().out)["runs"]]


def test_by_name_by_condition_and_all(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert keys(capsys, store, "nap-2", "nap-1", "nap-2") == ["nap-2", "nap-1"]
    assert keys(capsys, store, "--all") == ["nap-1", "nap-2"]
    assert keys(capsys, store, "--where", "params.number == 2") == ["nap-2"]
    assert keys(capsys, store, "--where", "params.number == 3") == []


@pytest.mark.parametrize("words", [(), ("nap-1", "--all"), ("--all", "--where", "params.number == 1")])
def test_one_way_of_them(store: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", *words, "--store", str(store)]) == 2
    assert "TIP289" in capsys.readouterr().err


def test_the_cost_of_all_is_the_sum(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["cost", "--all", "--json", "--store", str(store)]) == 0
    found = json.loads(capsys.readouterr().out)
    each = [run["total"]["paid"]["cpu"] for run in found["runs"]]
    assert (
        found["total"]["paid"]["cpu"]
        == pytest.approx(sum(each))
        == pytest.approx(found["pools"][""]["paid"]["cpu"])
    )
    assert min(each) >= 2
    assert main(["cost", "--all", "--store", str(store)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["RUN", "nap-1", "nap-2", "2"]


def test_one_that_cannot_be_read(store: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "store"
    shutil.copytree(store, copy, ignore=shutil.ignore_patterns("bell"))
    for name in ("journal.db", "workflow.json"):
        (copy / "runs" / "nap-1" / name).write_bytes(b"damaged")
    assert keys(capsys, copy, "--all") == ["nap-2"]
    assert main(["cost", "nap-1", "--store", str(copy)]) == 1
