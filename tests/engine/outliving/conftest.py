"""The worlds of these tests: in each runner, or with plain processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.harness import (
    RUNNERS,
)
from tests.engine.outliving.world import World


@pytest.fixture(params=RUNNERS)
def world(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    return World(tmp_path, request.param)


@pytest.fixture
def plain(tmp_path: Path) -> World:
    return World(tmp_path, "process")
