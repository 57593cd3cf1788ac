"""The examples train: one in shell, one with PyTorch (alone, and two workers with gloo), one with TensorFlow."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.training.jobs import job_of, trained
from tiphys.store.layout import Store
from tiphys.training.job import Algorithm
from tiphys.training.place import SeenJob
from tiphys.training.seen import seen_job

EXAMPLES = Path(__file__).parents[2] / "examples" / "training"
torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="PyTorch is not here")
tensorflow = pytest.mark.skipif(not importlib.util.find_spec("tensorflow"), reason="TensorFlow is not here")


def program(name: str) -> str:
    """Its text, which an image has as a file. (A checkout below /tmp is not seen by a step, which has its own.)"""
    return (EXAMPLES / name).read_text()


def _train(algorithm: Algorithm, store: Path, **parameters: str) -> tuple[SeenJob, list[str]]:
    job = job_of(parameters, output_model_name="m")
    seen = seen_job(trained(job, algorithm, store).workflow, Store(store))
    model = store / "volumes/tiphys/models/m" / job.run
    return seen, sorted(each.name for each in model.iterdir())


def test_a_shell_trains(tmp_path: Path) -> None:
    algorithm = Algorithm("shell", 1, "alpine:3", ("sh", "-c", program("shell/train.sh")))
    seen, files = _train(algorithm, tmp_path, epochs="4", rate="50")
    assert (seen.phase, seen.progress, seen.metrics) == ("Succeeded", "4/4", {"loss": 62.0, "rows": 0.0})
    assert files == ["manifest.json", "model.txt"]


@torch
@pytest.mark.parametrize("workers", [1, 2])
def test_pytorch_trains(workers: int, tmp_path: Path) -> None:
    command = ("python", "-c", program("pytorch/train.py"))
    algorithm = Algorithm("net", 1, "tiphys/torch", command, kind="pytorchjob", workers=workers)
    seen, files = _train(algorithm, tmp_path, epochs="5")
    assert (seen.phase, seen.progress) == ("Succeeded", "5/5"), seen.message
    assert 0 < seen.metrics["loss"] < 5 and "model.pt" in files


@tensorflow
@pytest.mark.train
def test_tensorflow_trains_as_on_sagemaker(tmp_path: Path) -> None:
    command = ("python", "-c", program("tensorflow/train.py"))
    algorithm = Algorithm("linear", 1, "tiphys/step", command, profile="sagemaker")
    seen, files = _train(algorithm, tmp_path, epochs="5", rate="0.1")
    assert (seen.phase, seen.progress) == ("Succeeded", "5/5"), seen.message
    assert 0 < seen.metrics["loss"] < 5 and files == ["manifest.json", "weights"]
