"""What ``tiphys get`` and ``tiphys list`` say of a run that failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import execute
from tiphys.cli import main

TASKS = {"code": "exit 3", "killed": "kill -KILL $$$$"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("causes")
    leaves = [
        {"name": name, "container": {"image": "tiphys/step:test", "command": ["sh", "-c", line]}}
        for name, line in TASKS.items()
    ]
    tasks = {"name": "main", "dag": {"tasks": [{"name": name, "template": name} for name in TASKS]}}
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "x-"},
        "spec": {"entrypoint": "main", "templates": [tasks, *leaves]},
    }
    assert not execute(folder, workflow, name="bad").succeeded
    return str(folder / "store")


def test_each_failed_step_has_a_line(store: str, capsys: Any) -> None:
    assert main(["get", "bad", "--store", store]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines[lines.index("causes") :] if line.startswith("  code")]
    assert told == [
        "  code: code, permanent: main: Error (exit code 3) → mend the code of the step: its log says where it failed"
    ]
    assert any(
        line.startswith("  killed: preempted, will pass: main: Error (exit code 137) → ") for line in lines
    )


def test_programs_are_told_the_same(store: str, capsys: Any) -> None:
    assert main(["get", "bad", "--store", store, "--json"]) == 0
    said = {each["step"]: each for each in json.loads(capsys.readouterr().out)["causes"]}
    assert {name: (each["kind"], each["permanent"]) for name, each in said.items()} == {
        "code": ("code", True),
        "killed": ("preempted", False),
    }


def test_runs_are_found_by_their_causes(store: str, capsys: Any) -> None:
    for asked, found in (
        ("cause == 'preempted'", ["bad"]),
        ("cause == 'oom'", []),
        ("not cause == 'oom'", ["bad"]),
    ):
        assert main(["list", "--store", store, "--where", asked, "--json"]) == 0
        runs = json.loads(capsys.readouterr().out)
        assert [run["name"] for run in runs] == found, asked
        assert all(run["cause"] == "code, preempted" for run in runs)
