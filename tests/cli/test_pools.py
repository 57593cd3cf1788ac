"""``tiphys pools`` shows what a pool has and what is taken of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.training.running import running
from tiphys.cli import main


def test_a_pool_and_what_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = '[pools.vision]\njobs = 3\nmemory = "4Gi"\n'
    with running(tmp_path, rules=rules) as found:
        address = f"127.0.0.1:{found.port}"
        assert main(["pools", "--service", address]) == 0
        assert "0 of 3 jobs, 0 of 4Gi memory" in capsys.readouterr().out
        assert main(["pools", "--service", address, "--json"]) == 0
        (pool,) = json.loads(capsys.readouterr().out)
    assert (pool["name"], pool["size"]["memory"], pool["queued"]) == ("vision", "4Gi", 0)
