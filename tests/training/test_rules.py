"""What an algorithm and a request may be, and that no parameter overrides what is not its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.training.jobs import shell
from tiphys.errors import TrainingServiceError
from tiphys.training.job import Algorithm, AlgorithmSecret, TrainingRequest
from tiphys.training.profiles import PROFILES
from tiphys.training.rules import check_algorithm, check_request

GOOD = Algorithm("mnist", image="registry:5000/team/mnist@sha256:" + "0" * 64)


@pytest.mark.parametrize(
    "algorithm",
    [
        GOOD,
        replace(GOOD, cpu="500m", memory="1.5Gi", gpus=2, retries=3, deadline="7d"),
        replace(GOOD, kind="jobset", workers=4, profile="sagemaker"),
        replace(GOOD, env={"A_1": ""}, secrets=(AlgorithmSecret("TOKEN", "team.keys", "token"),)),
    ],
)
def test_algorithms_that_train(algorithm: Algorithm) -> None:
    check_algorithm(algorithm)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "a b"}, "name 'a b'"),
        ({"image": ""}, "image ''"),
        ({"image": "a b"}, "image"),
        ({"kind": "tfjop"}, "Did you mean 'tfjob'"),
        ({"profile": "aws"}, "profile 'aws'"),
        ({"workers": 2}, "kind 'container' with 2 workers"),
        ({"workers": 0}, "workers 0"),
        ({"kind": "tfjob", "workers": 2, "profile": "sagemaker"}, "sagemaker"),
        ({"cpu": "half"}, "cpu 'half'"),
        ({"cpu": "0"}, "cpu '0'"),
        ({"memory": "-1Gi"}, "memory"),
        ({"gpus": -1}, "gpus"),
        ({"retries": 21}, "retries"),
        ({"deadline": "soon"}, "deadline 'soon'"),
        ({"env": {"a-b": "1"}}, "variable 'a-b'"),
        ({"env": {"TIPHYS_REPORT": "x"}}, "TIPHYS_REPORT"),
        ({"env": {"JOB_ID": "x"}, "profile": "book"}, "JOB_ID"),
        ({"env": {"A": "1"}, "secrets": (AlgorithmSecret("A", "s", "k"),)}, "twice"),
        ({"secrets": (AlgorithmSecret("A", "S!", "k"),)}, "secret 'S!'"),
    ],
)
def test_algorithms_that_do_not(change: dict[str, object], words: str) -> None:
    with pytest.raises(TrainingServiceError) as raised:
        check_algorithm(replace(GOOD, **change))  # type: ignore[arg-type]
    assert raised.value.code == "TIP810" and words in raised.value.message


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a\nb"},
        {"name": "x" * 201},
        {"dataset_id": "../other"},
        {"dataset_id": "pvc://tiphys/a/../b"},
        {"dataset_id": "s3://bucket/x"},
        {"dataset_id": "{{x}}"},
        {"dataset_id": "a", "dataset_version": "a/b"},
        {"dataset_id": "a", "dataset_version": ".."},
        {"dataset_version": "v1"},
        {"output_model_name": "A b"},
        {"parameters": {"a b": "1"}},
        {"parameters": {"a": "\0"}},
        {"parameters": {"a": "x" * (65 << 10)}},
    ],
)
def test_requests_that_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(TrainingServiceError) as raised:
        check_request(TrainingRequest("mnist", **change), GOOD)  # type: ignore[arg-type]
    assert raised.value.code == "TIP811"


@pytest.mark.parametrize("profile", PROFILES)
def test_requests_as_people_write_them(profile: str) -> None:
    parameters = {"LR": "4", "epochs": "{{=1}}", "BATCH_SIZE": "", "PARALLEL_INSTANCES": "3"}
    request = TrainingRequest(
        "mnist", "First training", "1", "hashDg==", parameters, "intent-model", request_id="x"
    )
    check_request(request, replace(GOOD, profile=profile))


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        *(
            ("book", each)
            for each in ("JOB_ID", "MODEL_NAME", "TRAINING_DATA_PATH", "MINIO_SERVER_SECRET_KEY")
        ),
        *(("book", each) for each in ("PATH", "LD_PRELOAD", "PYTHONPATH", "HOME", "RANK", "MASTER_ADDR")),
        *(
            ("book", each)
            for each in ("TIPHYS_MODEL_DIR", "KUBERNETES_SERVICE_HOST", "TF_CONFIG", "A", "TOKEN")
        ),
    ],
)
def test_a_parameter_overrides_nothing(profile: str, name: str) -> None:
    algorithm = shell("true", profile=profile, env={"A": "1"}, secrets=(AlgorithmSecret("TOKEN", "s", "k"),))
    with pytest.raises(TrainingServiceError) as raised:
        check_request(TrainingRequest("mnist", parameters={name: "mine"}), algorithm)
    assert raised.value.code == "TIP812" and name in raised.value.message


def test_two_parameters_are_never_one_variable() -> None:
    with pytest.raises(TrainingServiceError, match="TIPHYS_INPUT_A_B"):
        check_request(TrainingRequest("mnist", parameters={"a-b": "1", "a_b": "2"}), GOOD)
