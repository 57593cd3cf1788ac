"""The model of a job that succeeded is a version of the registry, however often that is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.training.jobs import job_of
from tiphys.errors import RefusedError, TrainingServiceError
from tiphys.reference import Reference, seal
from tiphys.runs.registry import Registry
from tiphys.training.models import registration
from tiphys.training.place import SeenJob

JOB = job_of(output_model_name="m")
URI = "pvc://tiphys/models/m/train-0123456789"


def _folder(store: Path) -> Path:
    folder = store / "volumes/tiphys/models/m/train-0123456789"
    folder.mkdir(parents=True)
    (folder / "w").write_text("w")
    return folder


def _seen(digest: str) -> SeenJob:
    return SeenJob("Succeeded", metrics={"loss": 0.25}, outputs={"model": str(Reference(URI, digest))})


def test_a_model_is_one_version(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    register = registration(lambda job: registry)
    seen = _seen(seal(_folder(tmp_path)))
    assert [register(JOB, seen), register(JOB, seen)] == ["m@1", "m@1"]
    version = registry.version("m", 1)
    assert (version.uri, version.run) == (URI, JOB.run)
    assert json.loads(json.dumps(version.report)) == {"loss": 0.25}


def test_a_model_that_was_changed_is_none(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    digest = seal(folder)
    (folder / "w").write_text("x")
    with pytest.raises(RefusedError, match="cannot be a version"):
        registration(lambda job: Registry(tmp_path))(JOB, _seen(digest))


@pytest.mark.parametrize("said", ["", "{}", "nothing"])
def test_a_training_that_wrote_nothing_says_so(said: str, tmp_path: Path) -> None:
    seen = SeenJob("Succeeded", outputs={"model": said})
    with pytest.raises(TrainingServiceError) as raised:
        registration(lambda job: Registry(tmp_path))(JOB, seen)
    assert raised.value.code == "TIP813" and "wrote nothing" in raised.value.message
