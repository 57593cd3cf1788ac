"""Which job begins next: nothing beyond a pool's size, nobody's many before another's first."""

from __future__ import annotations

import random
from collections import Counter

from tiphys.queue.shares import Shares
from tiphys.training.dispatch import Backlog, in_order, next_jobs, queue_state, why_waiting
from tiphys.training.job import JobState, TrainingJob, TrainingRequest
from tiphys.training.pools import TrainingPool


def job(number: int, user: str, pool: str = "p", *, priority: int = 0, launched: float = 0.0) -> TrainingJob:
    state = JobState.running if launched else JobState.queuing
    request = TrainingRequest("cnn", priority=priority)
    return TrainingJob(
        number,
        request,
        user,
        pool,
        1,
        f"train-{number}",
        state=state,
        created=float(number),
        launched=launched,
    )


def backlog(
    queued: list[TrainingJob],
    active: list[TrainingJob] | None = None,
    *,
    shares: Shares | None = None,
    **sizes: int,
) -> Backlog:
    jobs = [*queued, *(active or [])]
    demands = {each.id: {"jobs": 1, "cpu": 1000, "memory": 1 << 30} for each in jobs}
    return Backlog({"p": TrainingPool("p", "", sizes)}, queued, active or [], demands, shares or Shares())


def test_of_three_users_each_one_s_first_begins_before_the_many_of_one() -> None:
    many = [job(number, "a") for number in range(1, 101)]
    running = [job(number, "a", launched=150.0) for number in (901, 902)]
    one_more = [job(201, "b"), job(202, "c")]
    # both places were a's; one has ended
    first = next_jobs(backlog([*many, *one_more], running[:1], jobs=2), 200.0)
    assert first == [201]
    used = Shares(used={"a": 50.0}, at=201.0)
    running = [job(201, "b", launched=200.0)]
    second = next_jobs(backlog([*many, one_more[1]], running, shares=used, jobs=2), 201.0)
    assert second == [202]


def test_nothing_begins_beyond_what_the_pool_counts() -> None:
    rng = random.Random(4)
    for _ in range(200):
        sizes = {"jobs": rng.randint(0, 6), "cpu": rng.randint(0, 6000), "memory": rng.randint(0, 6) << 30}
        queued = [job(number, rng.choice("abc"), priority=rng.randint(0, 2)) for number in range(1, 9)]
        begun = next_jobs(backlog(queued, **sizes), 10.0)
        most = min(sizes["jobs"], sizes["cpu"] // 1000, sizes["memory"] >> 30, 8)
        assert len(begun) == most, sizes
        assert len(set(begun)) == most


def test_the_higher_class_comes_first_and_those_for_whom_there_is_no_room_elsewhere_are_passed() -> None:
    queued = [job(1, "a"), job(2, "b", priority=5), job(3, "c")]
    assert next_jobs(backlog(queued, jobs=1), 10.0) == [2]
    assert next_jobs(backlog(queued, jobs=1), 10.0, without=[2]) == [1]


def test_who_has_used_more_of_what_is_owed_to_him_waits_longer() -> None:
    queued = [job(1, "a"), job(2, "b")]
    used = Shares(used={"a": 5000.0, "b": 10.0}, at=10.0)
    assert next_jobs(backlog(queued, shares=used, jobs=1), 10.0) == [2]
    owed = Shares(
        groups={"x": 1000.0, "y": 1.0}, users={"a": ("x", 1.0), "b": ("y", 1.0)}, used=used.used, at=10.0
    )
    assert next_jobs(backlog(queued, shares=owed, jobs=1), 10.0) == [1]


def test_places_and_reasons() -> None:
    queued = [job(1, "a"), job(2, "a"), job(3, "b")]
    active = [job(9, "a", launched=5.0)]
    state = queue_state(backlog(queued, active, jobs=1), 10.0)
    assert in_order(state, 10.0) == {3: 1, 1: 2, 2: 3}
    assert why_waiting(state, 3, 10.0) == "waits for 1 jobs of pool p: 0 of 1 free"
    assert why_waiting(state, 2, 10.0) == "waits for 1 jobs of pool p: 0 of 1 free, 2 jobs before it"
    assert why_waiting(queue_state(backlog(queued, jobs=3), 10.0), 1, 10.0) == ""
    never = queue_state(backlog(queued, cpu=500), 10.0)
    assert "which has 500 in all" in why_waiting(never, 1, 10.0)


def test_a_pool_that_is_no_more_begins_nothing() -> None:
    assert next_jobs(backlog([job(1, "a", "gone")], jobs=3), 10.0) == []
    assert Counter(in_order(queue_state(backlog([job(1, "a", "gone")], jobs=3), 10.0), 10.0)) == Counter()
