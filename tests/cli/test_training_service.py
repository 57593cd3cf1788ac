"""A token that is made opens the service whose file has its digest; contradictions are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tiphys.cli import main
from tiphys.training.pools import parse_pools


def test_a_new_token_and_the_line_of_the_file_belong_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["training-service", "--new-token"]) == 0
    token, line = capsys.readouterr().out.splitlines()
    text = f'[pools.vision]\n[users.anna]\npools = ["vision"]\n{line}\n'
    assert parse_pools(text, Path("training.toml")).who(token) == "anna"
    assert re.fullmatch(r"[\w-]{40,}", token)


def test_a_context_without_a_cluster_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["training-service", "--store", str(tmp_path), "--context", "kind"]) == 2
    assert "give --cluster" in capsys.readouterr().err
