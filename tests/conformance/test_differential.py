"""Random workflows, with what the real controller made of them (``python -m tests.conformance.differential``)."""

from __future__ import annotations

import pytest

from tests.conformance.compare import differences
from tests.conformance.differential import load_recordings, run_core, workflow_of
from tests.conformance.generate_rich import RICH
from tests.conformance.reasons import SEEDS

pytestmark = pytest.mark.long

RECORDINGS = load_recordings()


def test_there_are_enough_of_them() -> None:
    assert len(RECORDINGS) - len(SEEDS) >= 500


@pytest.mark.parametrize("block", range(0, 800, 50))
def test_agree(block: int) -> None:
    found = {
        seed: lines
        for seed in range(block, block + 50)
        if seed in RECORDINGS
        and seed not in SEEDS
        and (lines := differences(run_core(seed), RECORDINGS[seed]))
    }
    assert found == {}


@pytest.mark.parametrize("block", range(RICH, RICH + 500, 50))
def test_those_with_more_of_the_language_agree(block: int) -> None:
    found = {
        seed: lines
        for seed in range(block, block + 50)
        if seed in RECORDINGS
        and seed not in SEEDS
        and (lines := differences(run_core(seed), RECORDINGS[seed]))
    }
    assert found == {}


@pytest.mark.parametrize("seed", [1000, 2000, 3000, RICH, RICH + 7])
def test_a_seed_always_gives_the_same_workflow(seed: int) -> None:
    assert workflow_of(seed) == workflow_of(seed)


@pytest.mark.parametrize("block", range(10_000, 10_300, 100))
def test_every_workflow_ends(block: int) -> None:
    endless = [seed for seed in range(block, block + 100) if run_core(seed)["status"]["phase"] == "Running"]
    assert endless == []
