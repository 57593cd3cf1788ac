"""``tiphys queue``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tiphys.cli import main


def test_limits_are_listed_and_taken_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", str(tmp_path / "store")]
    main(["queue", "set", "argo/gang", "3", *store])
    main(["queue", "set", "argo/gang", "2", *store])
    capsys.readouterr()
    assert main(["queue", "ls", "--json", *store]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"name": "argo/Database/gang", "limit": 2, "holders": [], "waiting": []}
    ]
    assert main(["queue", "set", "argo/gang", "0", *store]) == 0
    assert main(["queue", "ls", *store]) == 0
    assert capsys.readouterr().out == "no locks\n"
    assert main(["queue", "set", "gang", "1", *store]) == 2
    assert main(["queue", "set", "argo/gang", "many", *store]) == 2
