"""Jobs are queued once for a request, and what has ended is never written again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tiphys.errors import TrainingServiceError
from tiphys.store.layout import Store
from tiphys.training.file import TrainingFile
from tiphys.training.job import JobState, TrainingJob, TrainingRequest
from tiphys.training.jobs import JobTable


@pytest.fixture
def file(tmp_path: Path) -> Iterator[TrainingFile]:
    found = TrainingFile(Store(tmp_path))
    yield found
    found.close()


def queued(table: JobTable, request: TrainingRequest, user: str = "anna", pool: str = "p") -> TrainingJob:
    return table.submit(request, user=user, pool=pool, namespace="ns", algorithm_version=3, now=12.5)[0]


def test_the_same_request_of_a_user_is_one_job(file: TrainingFile) -> None:
    table = JobTable(file)
    request = TrainingRequest("cnn", parameters={"LR": "ü {$"}, request_id="r1")
    first = queued(table, request)
    assert queued(table, request) == first == table.get(first.id)
    assert queued(table, request, user="bo").id != first.id
    with pytest.raises(TrainingServiceError) as other:
        queued(table, replace(request, name="another"))
    assert other.value.code == "TIP804"
    without = [queued(table, TrainingRequest("cnn")).id for _ in range(2)]
    assert len(set(without)) == 2


def test_names_of_runs_are_of_this_file_and_stay(file: TrainingFile, tmp_path: Path) -> None:
    first = queued(JobTable(file), TrainingRequest("cnn"))
    second = queued(JobTable(file), TrainingRequest("cnn"))
    mark = first.run.removeprefix("train-").removesuffix(f"-{first.id}")
    assert second.run == f"train-{mark}-{second.id}"
    other = TrainingFile(Store(tmp_path / "other"))
    assert queued(JobTable(other), TrainingRequest("cnn")).run != first.run
    other.close()


def test_what_has_ended_is_never_written_again(file: TrainingFile) -> None:
    table = JobTable(file)
    job = queued(table, TrainingRequest("cnn"))
    assert table.write(replace(job, state=JobState.running, metrics={"loss": 0.5}, launched=13.0))
    ended = replace(table.get(job.id), state=JobState.succeed, model="m@1", ended=14.0)
    assert table.write(ended)
    assert not table.write(replace(ended, state=JobState.failure))
    assert table.get(job.id) == ended
    assert table.unended() == []


def test_lists_are_the_newest_first_and_go_on_where_they_ended(file: TrainingFile) -> None:
    table = JobTable(file)
    jobs = [queued(table, TrainingRequest("cnn"), user="ab"[n % 2], pool="pq"[n % 2]) for n in range(6)]
    numbers = [job.id for job in jobs]
    assert [job.id for job in table.list(pools=["p", "q"], limit=4)] == numbers[:1:-1]
    assert [job.id for job in table.list(pools=["p", "q"], before=numbers[2])] == numbers[1::-1]
    assert {job.pool for job in table.list(pools=["q"])} == {"q"}
    assert table.list(pools=[]) == []
    assert table.list(pools=["p"], user="b") == []
    table.write(replace(jobs[0], state=JobState.failure))
    assert [job.id for job in table.list(states=[JobState.failure])] == numbers[:1]


@pytest.mark.parametrize("number", [0, -1, 7, 2**31, 2**40])
def test_a_job_that_there_is_not(file: TrainingFile, number: int) -> None:
    with pytest.raises(TrainingServiceError) as caught:
        JobTable(file).get(number)
    assert caught.value.code == "TIP806"
