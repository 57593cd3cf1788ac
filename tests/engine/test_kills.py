"""An engine may be killed at any moment: what the run leaves is what it leaves uninterrupted.

``benchmarks/kills.py`` in small: the same rounds, a seed of their own. It runs in a process of its own, which is the
parent of whatever a killed engine leaves behind.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.kills.rounds import KINDS, STOP

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent.parent
KILLS = 200


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("kills")
    words = [
        "--kills",
        str(KILLS),
        "--seed",
        "20261127",
        "--processes",
        "2",
        "--json",
        str(folder / "found.json"),
    ]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "kills.py"), *words, "--folder", str(folder / "runs")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (folder / "found.json").exists(), done.stdout + done.stderr
    result: dict[str, Any]
    (result,) = json.loads((folder / "found.json").read_text())["runs"]
    return result


def test_engines_were_killed(found: dict[str, Any]) -> None:
    """What the other tests stand on: all kinds of kills, in nearly all kinds of flow, and bodies that were cut off."""
    assert found["kills"] >= KILLS
    assert set(found["kills_by_kind"]) == KINDS.keys() - {STOP} and found["stopped_and_continued"]
    assert sum(count > 0 for count in found["kills_by_flow"].values()) >= 18
    assert found["resumes"] > KILLS / 2 and found["two_resumes_at_once"] and found["left_alone"]


def test_all_ends_as_if_nobody_had_been_killed(found: dict[str, Any]) -> None:
    assert found["faults"] == []


def test_a_body_that_has_ended_never_runs_again(found: dict[str, Any]) -> None:
    assert found["bodies_ended"] > 500
    assert found["bodies_ended_twice"] == 0, found["bodies_ended_twice_by_kind"]


def test_a_killed_keeper_costs_what_ended_in_that_very_moment(found: dict[str, Any]) -> None:
    """Between the end of a body and its record there is a moment, in which nobody else knows of it."""
    assert found["bodies_ended_twice_with_their_keeper_killed"] < found["bodies_ended"] / 50
