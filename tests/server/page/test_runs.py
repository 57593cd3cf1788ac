"""The list of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.page.visits import visitor
from tests.server.running import HELLO
from tiphys.engine import RunOptions
from tiphys.engine import run as execute
from tiphys.server.page.runs import Choice, chosen

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow


def run(name: str, phase: str, day: int, team: str) -> Workflow:
    return {
        "metadata": {
            "name": name,
            "generateName": name[:-5],
            "creationTimestamp": f"2026-01-{day:02d}T00:00:00Z",
            "labels": {"team": team},
        },
        "spec": {},
        "status": {"phase": phase},
    }


RUNS = [
    run("digits-aaaaa", "Succeeded", 1, "blue"),
    run("digits-bbbbb", "Failed", 3, "red"),
    run("houses-ccccc", "Running", 2, "blue"),
]


GIVEN = {"digits-aaaaa": {"epochs": "3"}, "digits-bbbbb": {"epochs": "3"}, "houses-ccccc": {"epochs": "5"}}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, "bca"),
        ({"phase": "Failed"}, "b"),
        ({"pipeline": "digits"}, "ba"),
        ({"labels": "team=blue"}, "ca"),
        ({"labels": "team notin (blue)"}, "b"),
        ({"parameter": "epochs=3"}, "ba"),
        ({"parameter": "epochs"}, "bca"),
        ({"parameter": "rate"}, ""),
        ({"text": "ouse"}, "c"),
        ({"phase": "Succeeded", "pipeline": "digits", "labels": "team=blue", "unknown": "x"}, "a"),
    ],
)
def test_the_address_says_which_runs_newest_first(query: dict[str, str], names: str) -> None:
    found = chosen(RUNS, Choice.of(query), lambda: GIVEN)
    assert "".join(each["metadata"]["name"][-1] for each in found) == names


def test_a_parameter_chooses_runs_of_a_store(tmp_path: Path) -> None:
    for name, text in (("one", "1"), ("two", "2")):
        workflow: Any = {**HELLO, "metadata": {"name": name}}
        workflow["spec"] = {**HELLO["spec"], "arguments": {"parameters": [{"name": "n", "value": text}]}}  # type: ignore[dict-item]
        execute(workflow, options=RunOptions(store=tmp_path, images={"*": "host"}))
    with visitor(tmp_path) as client:
        text = client.get("/ui/runs?parameter=n%3D2").text
        assert "/ui/runs/two" in text and "/ui/runs/one" not in text
        assert 'role="alert"' in client.get("/ui/runs?labels=(").text
