"""When the file of a run's metrics is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tiphys.engine.base.loop import Loop
from tiphys.engine.machine.counters import Counters
from tiphys.engine.runtime import metrics_file
from tiphys.engine.runtime.metrics_file import MetricsFile


class _Registry(Counters):
    def __init__(self) -> None:
        super().__init__()
        self.changed = True

    def __bool__(self) -> bool:
        return True

    def text(self) -> str:
        return "m 1\n"


def test_nothing_is_written_after_the_last_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child's run may be deleted, or be an earlier run by then, while the loop of its parent goes on."""
    monkeypatch.setattr(metrics_file, "_PERIOD", 0.01)
    loop = Loop()
    folder = tmp_path / "run"
    folder.mkdir()
    try:
        file = MetricsFile(loop, folder, _Registry())
        file.touch()
        file.write()
        assert (folder / "metrics.prom").read_text() == "m 1\n"
        shutil.rmtree(folder)
        later: list[bool] = []
        loop.call_later(0.05, lambda: later.append(True))
        while not later:
            loop.step()
    finally:
        loop.close()
