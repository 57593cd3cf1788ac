"""States have the numbers that the book's proto gives them, and a job that has ended has one of three."""

from __future__ import annotations

from tiphys.training.job import ENDED, JobState
from tiphys.training.proto import training_service_pb2 as wire

BOOK = {"queuing": 0, "launch": 1, "running": 2, "succeed": 3, "failure": 4}


def test_states_have_their_numbers_on_the_wire() -> None:
    assert {each.name: int(each) for each in JobState} == dict(wire.TrainingStatus.items())
    assert {name: JobState[name] for name in BOOK} == BOOK


def test_who_has_ended_is_neither_queued_nor_running() -> None:
    assert set(JobState) - ENDED == {JobState.queuing, JobState.launch, JobState.running}
