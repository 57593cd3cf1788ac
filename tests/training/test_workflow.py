"""What a job becomes: Argo takes it, it says what the algorithm says, and it trains."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tools import argo_lint
from tests.training.jobs import job_of, phases, shell, trained
from tiphys.lint import lint
from tiphys.reference import Reference, seal
from tiphys.training.job import Algorithm, AlgorithmSecret
from tiphys.training.profiles import PROFILES
from tiphys.training.rules import KINDS, check_algorithm, check_request
from tiphys.training.workflow import demand, workflow_of

HOSTILE = "{{workflow.name}} {{=1+1}} $(HOME) $$ $é \"'\\ {"
PARAMETERS = {"LR": "0.1", "text": HOSTILE, "q": "a'b \"c"}
SECRET = AlgorithmSecret("TOKEN", "team", "token")


def _algorithm(kind: str, profile: str) -> Algorithm:
    several = kind != "container" and (profile != "sagemaker" or kind == "jobset")
    found = shell(
        "true", kind=kind, profile=profile, workers=2 if several else 1, retries=2, secrets=(SECRET,)
    )
    check_algorithm(found)
    return found


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", KINDS)
def test_argo_and_our_own_judge_take_it(kind: str, profile: str, tmp_path: Path) -> None:
    algorithm = _algorithm(kind, profile)
    job = job_of(PARAMETERS, dataset_id="mnist", dataset_version="0" * 64, output_model_name="m")
    check_request(job.request, algorithm)
    workflow = workflow_of(job, algorithm)
    text = json.dumps(workflow)
    assert [each for each in lint(workflow) if each.severity != "info"] == []
    assert argo_lint(text, tmp_path) == ""
    assert workflow == workflow_of(job, algorithm)


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_a_reference(kind: str) -> None:
    text = json.dumps(workflow_of(job_of(), _algorithm(kind, "tiphys")))
    assert "secretKeyRef" in text


def test_what_a_job_asks_of_its_pool() -> None:
    assert demand(shell("true")) == {"jobs": 1, "pods": 1, "cpu": 1000, "memory": 1 << 30}
    gang = shell("true", kind="jobset", workers=3, cpu="250m", memory="1.5Gi", gpus=2)
    assert demand(gang) == {
        "jobs": 1, "pods": 4, "cpu": 750, "memory": 3 * 3 * 2**29, "nvidia.com/gpu": 6,
    }  # fmt: skip


def test_a_container_that_follows_the_protocol_trains(tmp_path: Path) -> None:
    script = (
        'printf %s "$TIPHYS_INPUT_TEXT" > "$TIPHYS_MODEL_DIR/text"; printf %s "$1" > "$TIPHYS_MODEL_DIR/argument";'
        ' echo \'{"epoch": 1, "of": 2, "loss": 0.5}\' >> "$TIPHYS_REPORT"; printf %s "$TIPHYS_INPUT_LR"'
    )
    algorithm = shell(script)
    algorithm = replace(algorithm, args=(*algorithm.args, HOSTILE))
    result = trained(job_of(PARAMETERS, output_model_name="m"), algorithm, tmp_path)
    assert result.phase == "Succeeded"
    model = tmp_path / "volumes/tiphys/models/m/train-0123456789"
    assert (model / "text").read_text() == (model / "argument").read_text() == HOSTILE
    root = (result.workflow["status"].get("nodes") or {})["train-0123456789"]
    said = {each["name"]: each["value"] for each in root["outputs"]["parameters"]}
    assert Reference.parse(said["model"]).uri == "pvc://tiphys/models/m/train-0123456789"
    (told,) = (tmp_path / "volumes/tiphys/records/train-0123456789").iterdir()
    assert json.loads(told.read_text())["loss"] == 0.5


def test_nothing_trains_on_data_of_another_version(tmp_path: Path) -> None:
    data = tmp_path / "volumes/tiphys/datasets/mnist"
    data.mkdir(parents=True)
    (data / "a.csv").write_text("1\n")
    there, wanted = seal(data), "sha256:" + "0" * 64
    job = job_of(dataset_id="mnist", dataset_version=wanted)
    result = trained(job, shell('touch "$TIPHYS_MODEL_DIR/trained"'), tmp_path)
    assert result.phase == "Failed"
    found = phases(result)
    assert found["ready"] == "Failed" and "train" not in found
    (message,) = {
        node["message"]
        for node in (result.workflow["status"].get("nodes") or {}).values()
        if node["displayName"] == "ready(0)"
    }
    assert wanted in message and there in message


@pytest.mark.parametrize("kind", ["tfjob", "pytorchjob", "jobset"])
def test_a_gang_gets_what_was_written_too(kind: str, tmp_path: Path) -> None:
    """The manifest is in a variable of the pod that watches, so the kubelet reads it once more."""
    script = (
        'printf %s "$TIPHYS_INPUT_TEXT" > "$TIPHYS_MODEL_DIR/text"; printf %s "$1" > "$TIPHYS_MODEL_DIR/argument";'
        ' printf %s "$TIPHYS_INPUT_Q" > "$TIPHYS_MODEL_DIR/q"; echo \'{"loss": 0.5}\' >> "$TIPHYS_REPORT"'
    )
    algorithm = shell(script, kind=kind)
    algorithm = replace(algorithm, args=(*algorithm.args, HOSTILE))
    result = trained(job_of(PARAMETERS, output_model_name="m"), algorithm, tmp_path)
    assert result.phase == "Succeeded"
    model = tmp_path / "volumes/tiphys/models/m/train-0123456789"
    assert (model / "text").read_text() == (model / "argument").read_text() == HOSTILE
    assert (model / "q").read_text() == PARAMETERS["q"]
    root = (result.workflow["status"].get("nodes") or {})["train-0123456789"]
    said = {each["name"]: each["value"] for each in root["outputs"]["parameters"]}
    assert json.loads(said["metrics"]) == {"loss": 0.5}


@pytest.mark.parametrize(
    ("kind", "told"), [("pytorchjob", "MASTER_ADDR"), ("jobset", "MASTER_ADDR"), ("tfjob", "TF_CONFIG")]
)
def test_the_workers_of_a_gang_know_each_other(kind: str, told: str, tmp_path: Path) -> None:
    wait = (
        'until test "$(ls "$TIPHYS_MODEL_DIR" | wc -l)" -ge 2; do sleep 0.05; done'  # a master ends for all
    )
    script = f'printf %s "${{RANK:-none}} ${told}" > "$TIPHYS_MODEL_DIR/$$"; {wait}'
    result = trained(job_of(output_model_name="m"), shell(script, kind=kind, workers=2), tmp_path)
    assert result.phase == "Succeeded"
    files = [each for each in (tmp_path / "volumes/tiphys/models/m/train-0123456789").iterdir()]
    said = sorted(each.read_text() for each in files if each.name != "manifest.json")
    assert len(said) == 2 and all(each.partition(" ")[2] for each in said)
    if kind != "tfjob":
        assert [each[0] for each in said] == ["0", "1"]
