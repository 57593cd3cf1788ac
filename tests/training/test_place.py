"""A place begins a job's Workflow once, however often it is asked."""

from __future__ import annotations

from tests.training.fakes import FakePlace
from tiphys.training.job import TrainingJob, TrainingRequest
from tiphys.training.place import JobPlace


def test_what_there_is_of_a_name_is_the_jobs() -> None:
    job = TrainingJob(1, TrainingRequest("cnn"), "anna", "vision", 1, "train-1")
    fake = FakePlace()
    place: JobPlace = fake
    for _ in range(2):
        place.create(job, {"metadata": {"name": "train-1"}, "spec": {}})
    assert fake.begun == ["train-1"]
    assert place.look([job])[1].phase == "Running"
