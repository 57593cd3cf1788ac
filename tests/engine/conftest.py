"""What tests of the engine share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.gpus import machine
from tiphys.engine.pods.gpus import GpuDesk


@pytest.fixture
def give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have this machine have the GPUs that are given."""

    def given(*uuids: str) -> None:
        monkeypatch.setattr(GpuDesk, "machine", machine(tmp_path, *uuids))
        monkeypatch.setattr(GpuDesk, "place", staticmethod(lambda: tmp_path / "devices.db"))

    return given
