"""How a training is asked to end at its backup."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tiphys.step.backups import END_AT_BACKUP, end_at_backup


def test_a_request_is_answered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIPHYS_VOLUMES", json.dumps({"tiphys": str(tmp_path)}))
    (tmp_path / "work/m").mkdir(parents=True)
    assert not end_at_backup("pvc://tiphys/work/m")
    (tmp_path / "work/m" / END_AT_BACKUP).touch()
    assert end_at_backup("pvc://tiphys/work/m")
    assert not end_at_backup("pvc://tiphys/work/m")
    assert not end_at_backup("pvc://tiphys/work/nowhere")
