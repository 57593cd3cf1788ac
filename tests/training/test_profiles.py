"""The variables of each profile, by the names that the trainers of others read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.training.jobs import job_of, shell
from tiphys.training.folders import WorkflowSettings
from tiphys.training.profiles import (
    PROFILES,
    arguments_of,
    escapes,
    fixed_variables,
    parameter_variables,
    reserved,
    verbatim,
)

JOB = job_of({"lr": "0.1"}, dataset_id="mnist", dataset_version="hashDg==", output_model_name="m")
MODEL, DATA = "/mnt/tiphys/models/m/train-0123456789", "/mnt/tiphys/datasets/mnist/hashDg=="
# what Tracker.java of the book puts in, but for its MinIO
BOOK = {
    "JOB_ID": "7",
    "ALGORITHM_NAME": "mnist",
    "TRAINING_DATASET_ID": "mnist",
    "TRAINING_DATASET_VERSION_HASH": "hashDg==",
    "TRAINING_DATA_PATH": DATA,
    "MODEL_NAME": "m",
}
SAGEMAKER = {
    "SM_MODEL_DIR": MODEL,
    "SM_CHANNELS": '["training"]',
    "SM_CHANNEL_TRAINING": DATA,
    "SM_HPS": '{"lr":"0.1"}',
    "SM_NUM_GPUS": "2",
    "SM_HOSTS": '["algo-1"]',
    "SM_CURRENT_HOST": "algo-1",
    "SM_USER_ARGS": '["--lr","0.1"]',
}
VERTEX = {"AIP_MODEL_DIR": MODEL, "AIP_TRAINING_DATA_URI": DATA}


@pytest.mark.parametrize(
    ("profile", "expected"),
    [("tiphys", {}), ("book", BOOK), ("sagemaker", SAGEMAKER), ("vertex", VERTEX)],
)
def test_an_image_finds_the_names_that_it_reads(profile: str, expected: dict[str, str]) -> None:
    found = fixed_variables(JOB, replace(shell("true", gpus=2), profile=profile), WorkflowSettings())
    assert expected.items() <= found.items()
    assert found["TIPHYS_JOB_ID"] == "7" and found["TIPHYS_MODEL_DIR"] == MODEL
    assert all(reserved(profile, name) for name in found)


def test_parameters_go_where_a_profile_has_them() -> None:
    given = {"learning-rate": "0.1"}
    found = [parameter_variables(profile, given) for profile in PROFILES]
    assert found == [
        {"TIPHYS_INPUT_LEARNING_RATE": "0.1"},
        {"learning-rate": "0.1"},
        {"SM_HP_LEARNING_RATE": "0.1"},
        {},
    ]
    assert [arguments_of(profile, given) for profile in PROFILES] == [[], [], [], ["--learning-rate=0.1"]]


def test_one_worker_of_vertex_is_a_cluster_of_itself() -> None:
    found = fixed_variables(JOB, shell("true", profile="vertex"), WorkflowSettings())
    spec = json.loads(found["CLUSTER_SPEC"])
    assert spec["task"]["type"] in spec["cluster"]


@pytest.mark.parametrize("text", ["plain", "a $HOME", "{}", '{"a":{"b":1}}'])
def test_what_means_nothing_to_argo_or_the_kubelet_is_left_as_it_is(text: str) -> None:
    assert verbatim(text) == text


@pytest.mark.parametrize(
    "text", ["{{workflow.name}}", "{{=1+1}}", "$(HOME)", "$$(HOME)", "$é", "{", "{{{$({"]
)
def test_what_means_something_is_put_in_by_the_kubelet(text: str) -> None:
    written = verbatim(text)
    assert "{{" not in written and "$$" not in written
    for name, sign in escapes().items():
        written = written.replace(f"$({name})", sign)
    assert written == text
