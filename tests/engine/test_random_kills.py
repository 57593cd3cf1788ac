"""Engines and keepers killed at random moments: every run ends as one that nobody disturbed, and no body runs twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.harness import RUNNERS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_run_that_is_killed_ends_as_one_that_is_not(tmp_path: Path, runner: str) -> None:
    rounds = 40 if runner == "process" else 15
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.kills", str(tmp_path), str(rounds), "1", runner],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert sum(found["seen"].values()) == rounds and found["seen"]["engine"] > rounds / 3
