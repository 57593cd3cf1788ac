"""What ended on the real controller ends in the same words, and for the same cause, on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import execute
from tiphys.records.fold import fold

ENDINGS = Path(__file__).parent / "endings"
SAME = (
    "aborted-134", "artifact-file-missing", "data-set-unusable", "exit-1", "exit-126", "exit-127", "exit-2", "exit-255",
    "killed-137", "oom", "oom-of-a-child", "parameter-file-missing", "segmentation-139", "sidecar-exit-3",
    "template-deadline", "terminated-143", "traceback",
)  # fmt: skip
OTHER_WORDS = ("input-from-nowhere", "program-not-in-image")


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ENDINGS / f"{name}.json").read_text())
    return found


def template(name: str) -> dict[str, Any]:
    """The one that was recorded, in an image of this machine and with less patience."""
    text = json.dumps(recorded(name)["template"]).replace(
        "docker.io/library/python:3.11-slim", "tiphys/step:test"
    )
    made: dict[str, Any] = {"name": name, **json.loads(text)}
    if name == "data-set-unusable":  # a process of this machine has no /dev/termination-log
        made["container"]["command"][-1] = made["container"]["command"][-1].replace(
            "/dev/termination-log", "$TIPHYS_TERMINATION_LOG"
        )
    if "activeDeadlineSeconds" in made:
        made["activeDeadlineSeconds"] = 1
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    names = [*SAME, *OTHER_WORDS]
    tasks = {"name": "main", "dag": {"failFast": False, "tasks": [{"name": n, "template": n} for n in names]}}
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "x-"},
        "spec": {"entrypoint": "main", "templates": [tasks, *map(template, names)]},
    }
    result = execute(tmp_path_factory.mktemp("endings"), workflow, name="ends")
    return {step.name: step for step in fold(result.workflow).steps}


@pytest.mark.parametrize("name", [*SAME, *OTHER_WORDS])
def test_the_cause_is_the_same(run: Any, name: str) -> None:
    cause = run[name].cause
    assert (cause.kind, cause.permanent) == (recorded(name)["label"], recorded(name)["permanent"]), (
        cause.line()
    )


@pytest.mark.parametrize("name", SAME)
def test_the_words_are_the_same(run: Any, name: str) -> None:
    assert run[name].message == recorded(name)["node"]["message"]
