"""Who watches a job sees each state of it, and is let go when the service ends."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.training.running import algorithm, running
from tiphys.errors import TrainingServiceError
from tiphys.training.job import JobState
from tiphys.training.place import SeenJob


def test_who_watches_sees_the_end(tmp_path: Path) -> None:
    with running(tmp_path) as found, found.client() as client:
        client.create_algorithm(algorithm())
        number = client.train("cnn").id
        states: list[JobState] = []
        for job in client.watch(number):
            states.append(job.state)
            if job.state is JobState.running:
                found.place.seen[job.run] = SeenJob(phase="Succeeded")
        assert states == sorted(set(states)) and states[-1] is JobState.succeed


def test_many_watch_without_a_thread_for_each(tmp_path: Path) -> None:
    with running(tmp_path) as found, found.client() as client:
        client.create_algorithm(algorithm())
        number = client.train("cnn").id
        watching = [client.watch(number) for _ in range(60)]
        for each in watching:
            next(each)
        assert sum(thread.name.startswith("call") for thread in threading.enumerate()) <= 32
        client.cancel(number)
        assert {[*each][-1].state for each in watching} == {JobState.cancelled}


def test_who_watches_is_told_that_the_service_ends(tmp_path: Path) -> None:
    """Red before: a drain waited its whole time for clients that watch."""
    with running(tmp_path) as found, found.client() as client:
        client.create_algorithm(algorithm())
        watching = client.watch(client.train("cnn").id)
        next(watching)
        found.calls.close()
        with pytest.raises(TrainingServiceError) as caught:
            list(watching)
        assert caught.value.code == "TIP808"


def test_logs_come_in_order_to_a_slow_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiphys.runs.backend import WorkflowLogLine

    def many(job: object, *, follow: bool) -> object:
        return (WorkflowLogLine("pod", "main", "train", str(number)) for number in range(5000))

    with running(tmp_path) as found, found.client() as client:
        client.create_algorithm(algorithm())
        job = client.train("cnn")
        while client.status(job.id).state is JobState.queuing:
            pass
        monkeypatch.setattr(found.place, "logs", many)
        assert [text for _, text in client.logs(job.id)] == [str(number) for number in range(5000)]
