"""What a core and a mebibyte count for as use."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tiphys.queue.core import Claim, Holding
from tiphys.queue.machine import CORES, MEMORY
from tiphys.queue.permits import Bid, Permits


@pytest.mark.parametrize(
    ("each", "used"),
    [
        (((CORES, 2000),), 200.0),  # two cores for a hundred seconds
        (((MEMORY, 4096),), 0.0),
        (((CORES, 500), (MEMORY, 4096), ("training", 3)), 350.0),
    ],
)
def test_use_of_a_core_is_that_of_a_worker_and_memory_is_none(
    tmp_path: Path, each: tuple[tuple[str, int], ...], used: float
) -> None:
    now = [1000.0]
    with contextlib.closing(Permits(tmp_path / "locks.db", clock=lambda: now[0])) as permits:
        bid = Bid(Claim("a", each, user="anna"), {pool: 9000 for pool, _ in each}, "a")
        assert isinstance(permits.ask(bid), Holding)
        now[0] += 100.0
        permits.give_back("a")
        assert permits.view().state.shares.used.get("anna", 0.0) == pytest.approx(used, rel=0.01)
