"""What is written at a run's end, and what changes of it later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import execute, shell, workflow
from tiphys.engine import RunOptions
from tiphys.engine.runtime import ends
from tiphys.engine.runtime.journal import Journal
from tiphys.engine.runtime.retry import prepare_resubmit, prepare_retry
from tiphys.errors import RefusedError
from tiphys.runs.local.backend import LocalRuns

FAILS = workflow(shell("main", "echo {{workflow.labels.team}}; test {{workflow.labels.team}} = red"))
FAILS["metadata"]["labels"] = {"team": "blue", "old": "x"}


def labels(workflow: Any) -> dict[str, str]:
    return {key: value for key, value in workflow["metadata"]["labels"].items() if "/" not in key}


@pytest.fixture
def runs(tmp_path: Path) -> LocalRuns:
    return LocalRuns(RunOptions(store=tmp_path / "store"))


def test_labels_of_a_run_that_has_ended_are_there_for_all_who_look(tmp_path: Path, runs: LocalRuns) -> None:
    name = execute(tmp_path, FAILS).name
    before = runs.get("", name)
    found = runs.relabel(name, {"team": "red", "old": None}, {"why": "colour"})
    assert labels(found) == {"team": "red"} and found["metadata"]["annotations"]["why"] == "colour"
    assert found["status"] == before["status"]
    (listed,) = runs.list("", labels="team=red,!old", brief=True)
    assert listed["metadata"]["name"] == name
    written = tmp_path / "store" / "runs" / name / "workflow.json"
    assert labels(json.loads(written.read_text())) == {"team": "red"}
    written.write_text("{}")  # then its journal tells
    assert labels(runs.get("", name)) == {"team": "red"}


def test_what_runs_again_has_the_labels_of_now(tmp_path: Path, runs: LocalRuns) -> None:
    name = execute(tmp_path, FAILS).name
    runs.relabel(name, {"team": "red"}, {})
    copy = prepare_resubmit(name, options=RunOptions(store=tmp_path / "store")).execute()
    assert copy.succeeded and labels(copy.workflow)["team"] == "red"
    again = prepare_retry(name, options=RunOptions(store=tmp_path / "store")).execute()
    assert again.succeeded and labels(again.workflow) == {"team": "red", "old": "x"}


@pytest.mark.parametrize("at", ["write_facts", "commit", "write_json"])
def test_killed_in_between_a_run_has_old_labels_or_new_ones(
    tmp_path: Path, runs: LocalRuns, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    name = execute(tmp_path, FAILS).name

    def killed(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ends if at == "write_json" else Journal, at, killed)
        with pytest.raises(KeyboardInterrupt):
            runs.relabel(name, {"team": "red"}, {})
    assert labels(runs.get("", name))["team"] == ("red" if at == "write_json" else "blue")
    assert labels(runs.relabel(name, {"old": "y"}, {}))["old"] == "y"


def test_what_no_label_can_be_is_refused(tmp_path: Path, runs: LocalRuns) -> None:
    name = execute(tmp_path, FAILS).name
    for given in ({"team": "not a label"}, {"a b": "x"}, {"-": None}):
        with pytest.raises(RefusedError) as caught:
            runs.relabel(name, given, {})
        assert caught.value.code == "TIP257"
    assert labels(runs.relabel(name, {}, {}))["team"] == "blue"
