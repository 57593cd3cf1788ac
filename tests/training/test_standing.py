"""How jobs stand in memory is what the disk would say, and who has no room is not put in order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from tests.training.test_dispatch import job
from tiphys.queue.rules import Rules
from tiphys.training import standing
from tiphys.training.job import JobState
from tiphys.training.pools import TrainingPool, TrainingPools
from tiphys.training.standing import Standing

WANTS: Mapping[str, int] = {"jobs": 1, "cpu": 2000}


def made(now: list[float], used: str = "", **sizes: int) -> Standing:
    pools = TrainingPools({"p": TrainingPool("p", "", sizes)})
    return Standing(lambda: pools, Rules, used, lambda: now[0])


def test_jobs_go_from_the_queue_to_the_runs_and_away() -> None:
    now = [10.0]
    jobs = made(now, jobs=1)
    jobs.put(job(1, "a"), WANTS)
    jobs.put(job(2, "b"), WANTS)
    assert (jobs.next(()), jobs.place(2), jobs.used("p")) == ([1], 2, {})
    jobs.put(job(1, "a", launched=10.0))
    assert (jobs.next(()), jobs.used("p")) == ([], WANTS)
    now[0] += 1.0  # a place that is told may be a moment old
    assert jobs.why(2).startswith("waits for 1 jobs")
    jobs.put(dataclasses.replace(job(1, "a", launched=10.0), state=JobState.succeed))
    assert (jobs.next(()), jobs.used("p"), jobs.wants(1)) == ([2], {}, {})


def test_a_full_pool_costs_no_look_at_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = made([10.0], jobs=1)
    jobs.put(job(9, "a", launched=1.0), WANTS)
    for number in range(1, 4):
        jobs.put(job(number, "a"), WANTS)
    monkeypatch.setattr(standing, "next_jobs", lambda *_, **__: pytest.fail("nobody has room"))
    assert jobs.next(()) == []


def test_use_is_counted_and_kept() -> None:
    now = [100.0]
    jobs = made(now, jobs=2)
    jobs.use()
    jobs.put(job(1, "a", launched=100.0), WANTS)
    now[0] = 160.0
    jobs.use()
    again = made(now, jobs.usage(), jobs=1)
    again.put(job(1, "a"), WANTS)
    again.put(job(2, "b"), WANTS)
    assert again.next(()) == [2], "a has used two cores for a minute"
