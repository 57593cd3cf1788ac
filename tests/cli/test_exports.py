"""``tiphys records export``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.records.export.mlflow_server import Server
from tests.records.export.records import workflow
from tiphys.cli import main
from tiphys.runs.records import keep
from tiphys.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one pipeline."""
    folder = tmp_path_factory.mktemp("runs")
    workflow(folder)
    workflow(folder, model="dropout")
    return folder / "store"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def export(store: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Calls it on the store: the exit code, what it printed, what it complained of."""

    def call(*words: str) -> tuple[int, str, str]:
        code = main(["records", "export", *words, "--store", str(store)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_openlineage(export: Any, tmp_path: Path) -> None:
    code, said, _ = export("openlineage", "@latest")
    one = [json.loads(line) for line in said.splitlines()]
    assert code == 0 and [one[0]["eventType"], one[-1]["eventType"]] == ["START", "COMPLETE"]
    file = tmp_path / "events.jsonl"
    assert export("openlineage", "--all", "-o", str(file), "--namespace", "team") == (0, "", "")
    both = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(both) == 2 * len(one) and {event["job"]["namespace"] for event in both} == {"team"}
    assert both[-1]["run"]["runId"] == one[-1]["run"]["runId"]  # the oldest first


def test_mlflow(export: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "secret")
    code, said, _ = export(
        "mlflow", "--all", "--uri", server.uri, "--token-env", "WORD", "--experiment", "mine"
    )
    assert code == 0 and said.count(", 1 models new  http") == 2
    assert {each.get("Authorization") for each in server.headers} == {"Bearer secret"}
    assert [each["name"] for each in server.fake.experiments.values()] == ["mine"]
    runs, points = len(server.fake.runs), dict(server.fake.points)
    assert [each["params"] for each in server.fake.runs.values() if not each["tags"]["tiphys.node"]] == [
        {"model": "cnn"},
        {"model": "dropout"},
    ]
    code, said, _ = export("mlflow", "--all", "--uri", server.uri, "--experiment", "mine", "--json")
    assert [each["points"] for each in json.loads(said)] == [0, 0]
    assert (len(server.fake.runs), server.fake.points) == (runs, points)


def test_those_for_which_a_condition_holds(export: Any, server: Server) -> None:
    code, said, _ = export("mlflow", "--where", "params.model == 'dropout'", "--uri", server.uri, "--json")
    (one,) = json.loads(said)
    assert code == 0 and server.fake.runs[one["run"]]["params"] == {"model": "dropout"}
    assert export("openlineage", "--where", "params.nothing == 1")[:2] == (0, "")


def test_of_a_cluster_by_its_key(export: Any, store: Path) -> None:
    names = [each.name for each in (store / "runs").iterdir()]
    kept = json.loads((store / "runs" / names[0] / "workflow.json").read_text())
    keep(Store(store), "blue", kept)
    key = f"blue/{kept['metadata']['namespace']}/{kept['metadata']['uid']}"
    code, said, _ = export("openlineage", key)
    assert code == 0 and json.loads(said.splitlines()[0])["job"]["namespace"].startswith("argo://blue/")
    shutil.rmtree(store / "records")


def test_follow_ends_with_the_run(export: Any, server: Server) -> None:
    assert export("mlflow", "@latest", "--follow", "--uri", server.uri)[0] == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["openlineage"], "TIP289"),
        (["openlineage", "--all", "x"], "TIP289"),
        (["openlineage", "--where", "=", "--all"], "TIP289"),
        (["openlineage", "--where", "="], "TIP255"),
        (["openlineage", "x"], "TIP211"),
        (["mlflow", "--all"], "TIP289"),
        (["mlflow", "--all", "--uri", "x"], "TIP289"),
        (["mlflow", "--all", "--uri", "http://x", "--token-env", "NO_SUCH"], "TIP289"),
        (["mlflow", "--all", "--uri", "http://x", "--every", "nan"], "TIP289"),
    ],
)
def test_what_is_refused(export: Any, words: list[str], code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    status, said, complaint = export(*words)
    assert (status, said) == (2, "") and complaint.startswith(f"tiphys: {code}")
