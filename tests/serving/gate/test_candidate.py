"""Latency of calls whose times are made up, and a server with the fake model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiphys.errors import ServingError
from tiphys.serving.gate.candidate import TrialServer, best_p99, percentile


class Clock:
    """Time that passes only when it is asked to."""

    def __init__(self, taken: Iterator[float]) -> None:
        self.now, self.calls, self._taken = 0.0, 0, taken

    def ask(self, _number: int) -> None:
        self.calls += 1
        self.now += next(self._taken)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Clock:
    made = Clock(iter(request.param))
    monkeypatch.setattr(time, "perf_counter", lambda: made.now)
    return made


def test_the_nearest_rank() -> None:
    assert percentile([float(number) for number in range(1, 101)]) == 99.0
    assert percentile([3.0, 1.0, 2.0]) == 3.0


@pytest.mark.parametrize("clock", [[9.0] * 10 + [1.0] * 99 + [5.0] + [9.0] * 999], indirect=True)
def test_warm_up_and_one_of_a_hundred_do_not_count(clock: Clock) -> None:
    assert best_p99(clock.ask, 100, 10.0) == 1.0
    assert clock.calls == 110


@pytest.mark.parametrize("clock", [[1.0] * 10 + [4.0, 4.0] + [1.0] * 100], indirect=True)
def test_a_round_that_cannot_pass_ends_and_the_next_may(clock: Clock) -> None:
    assert best_p99(clock.ask, 100, 2.0) == 1.0
    assert clock.calls == 112


@pytest.mark.parametrize("clock", [[3.0, 4.0] * 100], indirect=True)
def test_what_is_slow_in_each_round_is_slow(clock: Clock) -> None:
    assert best_p99(clock.ask, 100, 2.0, rounds=3) == 3.0
    assert clock.calls == 1 + 3 * 2  # one to warm up, and two a round settle it


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    with pytest.raises(ServingError) as caught, TrialServer(tmp_path, 20.0):
        pass
    assert caught.value.code == "TIP518"
    assert "exit code 1" in caught.value.cause
    assert "Could not find SavedModel" in caught.value.cause


def test_a_server_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """An empty folder: the server waits for a version, as the real one does."""
    with pytest.raises(ServingError) as caught, TrialServer(tmp_path, 0.2):
        pass
    assert "no answer within 0.2 s" in caught.value.cause
