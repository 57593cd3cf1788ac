"""The service over a place in memory: what it answers, and that nothing is lost or begun twice however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.fakes import FakePlace, until
from tiphys.errors import ClusterError, RefusedError, TrainingServiceError
from tiphys.queue.rules import this_user
from tiphys.store.layout import Store
from tiphys.training.job import Algorithm, JobState, TrainingJob, TrainingRequest
from tiphys.training.place import SeenJob
from tiphys.training.service import TrainingService

USER = this_user()
SH = Algorithm("sh", image="busybox", command=("true",))


class Made:
    """A service that can be ended and made again over the same disk and the same place."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, FakePlace()
        self.services: list[TrainingService] = []

    def __call__(self, *, started: bool = True, toml: str = "[pools.default]\njobs = 2\n") -> TrainingService:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "training.toml").write_text(toml)
        service = TrainingService(Store(self.folder), self.place, period=0.02)
        self.services.append(service)
        if not service.algorithms():
            service.create_algorithm(SH, USER)
        if started:
            service.start()
        return service


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    found = Made(tmp_path / "store")
    yield found
    for service in found.services:
        service.close()


def is_now(service: TrainingService, job: TrainingJob, state: JobState) -> None:
    until(lambda: service.status(job.id, USER).state is state)


def test_a_job_goes_its_way_and_its_states_are_watched(made: Made) -> None:
    service = made(started=False)
    job = service.train(TrainingRequest("sh"), USER)
    seen = [job.state]
    service.on_change(lambda: seen.append(service.status(job.id, USER).state))
    service.start()
    is_now(service, job, JobState.running)
    made.place.seen[job.run] = SeenJob("Succeeded", progress="3/3", metrics={"loss": 0.5})
    is_now(service, job, JobState.succeed)
    assert seen[-1] is JobState.succeed
    assert seen == sorted(seen)
    ended = service.status(job.id, USER)
    assert (ended.progress, ended.metrics) == ("3/3", {"loss": 0.5})
    assert ended.created <= ended.launched <= ended.ended


def test_only_as_many_run_as_the_pool_has_and_the_rest_know_why(made: Made) -> None:
    service = made()
    jobs = [service.train(TrainingRequest("sh"), USER) for _ in range(4)]
    is_now(service, jobs[1], JobState.running)
    is_now(service, jobs[0], JobState.running)
    assert sorted(made.place.begun) == [job.run for job in jobs[:2]]
    waiting = service.status(jobs[3].id, USER)
    assert waiting.state is JobState.queuing
    assert waiting.message.startswith("waits for 1 jobs of pool default: 0 of 2 free")
    assert service.position(jobs[3].id) == 2
    (pool,) = service.pools(USER)
    assert (pool.queued, pool.running, pool.used["jobs"]) == (2, 2, 2)
    made.place.seen[jobs[0].run] = SeenJob("Failed", "main: exit code 3", cause="code")
    is_now(service, jobs[2], JobState.running)
    failed = service.status(jobs[0].id, USER)
    assert (failed.state, failed.cause, failed.message) == (JobState.failure, "code", "main: exit code 3")


def test_a_killed_service_goes_on_and_begins_nothing_twice(made: Made) -> None:
    service = made()
    jobs = [service.train(TrainingRequest("sh", request_id=f"r{n}"), USER) for n in range(5)]
    is_now(service, jobs[1], JobState.running)
    service.close()  # what is killed leaves no less on the disk: test_file.py
    again = made()
    assert again.train(TrainingRequest("sh", request_id="r4"), USER).id == jobs[4].id
    for job in jobs:
        is_now(again, job, JobState.running)
        made.place.seen[job.run] = SeenJob("Succeeded")
        is_now(again, job, JobState.succeed)
    assert sorted(made.place.begun) == sorted(job.run for job in jobs)


def test_a_job_whose_launch_was_not_finished_is_launched(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    real = made.place.create
    fails = [ClusterError("TIP601", "cannot reach it", cause="the connection was refused")] * 2

    def create(job: TrainingJob, workflow: object) -> None:
        if fails:
            raise fails.pop()
        real(job, workflow)  # type: ignore[arg-type]

    monkeypatch.setattr(made.place, "create", create)
    service = made()
    job = service.train(TrainingRequest("sh"), USER)
    until(lambda: "it is tried again: TIP601: cannot reach it" in service.status(job.id, USER).message)
    assert service.status(job.id, USER).state is JobState.launch
    service.close()
    again = made()
    is_now(again, job, JobState.running)
    assert made.place.begun == [job.run]


def test_what_the_place_refuses_for_good_has_failed_with_its_words(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(job: TrainingJob, workflow: object) -> None:
        raise RefusedError("TIP218", "the run did not begin", cause="no such image")

    monkeypatch.setattr(made.place, "create", create)
    service = made()
    job = service.train(TrainingRequest("sh"), USER)
    is_now(service, job, JobState.failure)
    assert service.status(job.id, USER).message == "TIP218: the run did not begin (no such image)"


def test_a_full_quota_keeps_a_job_queued_and_says_so(made: Made) -> None:
    made.place.why_full = "quota small of namespace team: cpu: 2 wanted, 1 of 4 free"
    service = made()
    job = service.train(TrainingRequest("sh"), USER)
    until(lambda: service.status(job.id, USER).message == made.place.why_full)
    assert service.status(job.id, USER).state is JobState.queuing
    made.place.why_full = ""
    other = service.train(TrainingRequest("sh"), USER)  # news: the queue is looked at
    is_now(service, job, JobState.running)
    is_now(service, other, JobState.running)


def test_room_that_nobody_tells_of_is_found(made: Made) -> None:
    """A quota becomes free without a word to the service: it looks again by itself."""
    made.place.why_full = "full"
    service = made()
    job = service.train(TrainingRequest("sh"), USER)
    until(lambda: service.status(job.id, USER).message == "full")
    made.place.why_full = ""
    is_now(service, job, JobState.running)


def test_cancelling_in_every_state(made: Made) -> None:
    service = made()
    jobs = [service.train(TrainingRequest("sh"), USER) for _ in range(3)]
    is_now(service, jobs[1], JobState.running)
    assert service.cancel(jobs[2].id, USER).state is JobState.cancelled
    service.cancel(jobs[0].id, USER)
    is_now(service, jobs[0], JobState.cancelled)
    assert made.place.stopped[0] == jobs[0].run
    made.place.seen[jobs[1].run] = SeenJob("Succeeded")
    is_now(service, jobs[1], JobState.succeed)
    assert service.cancel(jobs[1].id, USER).state is JobState.succeed
    assert jobs[2].run not in made.place.begun
    with pytest.raises(TrainingServiceError) as caught:
        service.cancel(99, USER)
    assert caught.value.code == "TIP806"


def test_a_workflow_that_was_deleted_is_told(made: Made) -> None:
    service = made()
    job = service.train(TrainingRequest("sh"), USER)
    is_now(service, job, JobState.running)
    made.place.seen[job.run] = SeenJob()
    is_now(service, job, JobState.failure)
    assert "was deleted" in service.status(job.id, USER).message


def test_what_can_never_run_is_refused_at_once(made: Made) -> None:
    service = made(toml='[pools.default]\ncpu = "500m"\n', started=False)
    for request, code in (
        (TrainingRequest("shh"), "TIP807"),
        (TrainingRequest("sh"), "TIP809"),
        (TrainingRequest("sh", pool="other"), "TIP802"),
    ):
        with pytest.raises(TrainingServiceError) as caught:
            service.train(request, USER)
        assert caught.value.code == code
    assert service.list(USER) == []


def test_jobs_keep_the_version_that_they_were_queued_with(made: Made) -> None:
    service = made(started=False)
    job = service.train(TrainingRequest("sh"), USER)
    service.update_algorithm(Algorithm("sh", image="other", command=("true",)), USER)
    assert service.train(TrainingRequest("sh"), USER).algorithm_version == 2
    service.start()
    is_now(service, job, JobState.running)
    templates = {each["name"]: each for each in made.place.runs[job.run]["spec"]["templates"]}
    assert templates["train"]["container"]["image"] == "busybox"


def test_a_pool_without_a_namespace_has_the_service_s(tmp_path: Path) -> None:
    (tmp_path / "training.toml").write_text('[pools.a]\n[pools.b]\nnamespace = "team"\n')
    service = TrainingService(Store(tmp_path), FakePlace(), namespace="own")
    service.create_algorithm(SH, USER)
    made = [service.train(TrainingRequest("sh", pool=pool), USER).namespace for pool in "ab"]
    assert made == ["own", "team"]
    service.close()
