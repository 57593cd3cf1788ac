"""What goes onto the wire comes back from it, and an error stays what it was."""

from __future__ import annotations

import json

from tiphys.errors import RefusedError, StoreError, TrainingServiceError
from tiphys.training.convert import (
    algorithm_of,
    error_of,
    job_of,
    shortened,
    status_of,
    told,
    unforeseen,
    wire_algorithm,
    wire_pools,
    wire_status,
)
from tiphys.training.job import Algorithm, AlgorithmSecret, JobState, TrainingJob, TrainingRequest
from tiphys.training.pools import TrainingPool
from tiphys.training.proto import training_service_pb2 as wire
from tiphys.training.service import PoolState


def test_a_job_comes_back_as_it_was() -> None:
    request = TrainingRequest(
        "cnn",
        "nightly",
        "mnist",
        "sha256:1",
        {"LR": "4"},
        "fashion",
        request_id="r",
        pool="vision",
        priority=2,
    )
    job = TrainingJob(
        7, request, "anna", "vision", 3, "train-x-7", "ml-vision", JobState.failure, "why", "oom", "3/10",
        {"loss": 0.5}, "fashion@1", False, 1.5, 2.5, 3.5,
    )  # fmt: skip
    assert job_of(wire_status(job, 0)) == job
    assert wire_status(job, 4).positionInQueue == 4


def test_an_algorithm_comes_back_and_what_is_left_out_is_usual() -> None:
    secret = AlgorithmSecret("TOKEN", "hub", "token")
    algorithm = Algorithm("cnn", 2, "image", ("python",), ("a",), "tfjob", 2, "book", "500m", "1Gi", 1, {"A": "1"},
                          (secret,), 3, "2h", 1.5)  # fmt: skip
    assert algorithm_of(wire_algorithm(algorithm)) == algorithm
    assert algorithm_of(wire.Algorithm(name="cnn")) == Algorithm("cnn")


def test_amounts_are_written_as_kubernetes_writes_them() -> None:
    pool = TrainingPool("vision", "", {"jobs": 2, "cpu": 1500, "memory": 3 << 30})
    (told_pool,) = wire_pools([PoolState(pool, {"cpu": 1000}, 1, 0)]).pools
    assert dict(told_pool.size) == {"jobs": "2", "cpu": "1500m", "memory": "3Gi"}
    assert dict(told_pool.used) == {"jobs": "0", "cpu": "1", "memory": "0"}


def test_an_error_keeps_its_code_and_its_advice() -> None:
    error = TrainingServiceError("TIP806", "there is no job 7", cause="you", fix="ask for another")
    found = error_of(told(error))
    assert found is not None and str(found) == str(error)
    assert error_of("no JSON") is None and error_of("[]") is None


def test_a_shortened_error_fits_into_grpcs_metadata() -> None:
    error = shortened(TrainingServiceError("TIP807", "ä" * 9000, cause="\n" * 9000, fix="x" * 9000))
    assert len(told(error).encode()) * 4 / 3 + 3 * len(str(error).encode()) < 8000
    assert json.loads(told(error))["message"].startswith("ää")


def test_each_kind_of_error_has_a_status() -> None:
    assert status_of(TrainingServiceError("TIP801", "")) == ("UNAUTHENTICATED", 401)
    assert status_of(RefusedError("TIP287", "")) == ("PERMISSION_DENIED", 403)
    assert status_of(StoreError("TIP411", "")) == ("RESOURCE_EXHAUSTED", 507)
    assert status_of(unforeseen()) == ("INTERNAL", 500)
