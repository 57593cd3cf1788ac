"""The logs of a run of this machine: whose lines they are."""

from __future__ import annotations

from pathlib import Path

from tests.engine.harness import execute, shell, workflow
from tiphys.runs import Client


def test_attempts_of_a_single_container_have_the_name_of_the_run(tmp_path: Path) -> None:
    """As on a cluster (tests/cluster/test_logs.py)."""
    script = 'echo "try {{retries}}"; test {{retries}} = 1'
    result = execute(tmp_path, workflow(shell("main", script, retryStrategy={"limit": 1})), name="run")
    assert result.succeeded
    lines = {(line.source, line.text) for line in Client(store=tmp_path / "store").logs("run")}
    assert lines == {("run", "try 0"), ("run(1)", "try 1")}
    assert list(Client(store=tmp_path / "store").logs("run", pod="run(1)"))
