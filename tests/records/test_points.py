from __future__ import annotations

from pathlib import Path

from tiphys.records.points import points
from tiphys.store import Store


def test_a_run_that_told_nothing(tmp_path: Path) -> None:
    assert list(points(Store(tmp_path), {"metadata": {"name": "x"}})) == []
