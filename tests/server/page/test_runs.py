"""The list of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tiphys.server.page.runs import Choice, chosen

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow


def run(name: str, phase: str, day: int, team: str, epochs: str) -> Workflow:
    return {
        "metadata": {
            "name": name,
            "generateName": name[:-5],
            "creationTimestamp": f"2026-01-{day:02d}T00:00:00Z",
            "labels": {"team": team},
        },
        "spec": {"arguments": {"parameters": [{"name": "epochs", "value": epochs}]}},
        "status": {"phase": phase},
    }


RUNS = [
    run("digits-aaaaa", "Succeeded", 1, "blue", "3"),
    run("digits-bbbbb", "Failed", 3, "red", "3"),
    run("houses-ccccc", "Running", 2, "blue", "5"),
]


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
    found = chosen(RUNS, Choice.of(query))
    assert "".join(each["metadata"]["name"][-1] for each in found) == names
