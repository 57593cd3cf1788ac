"""What is seen of a job: here from what its steps told, on a cluster from what its Workflow says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.jobs import job_of, shell, trained
from tiphys.argo.types import Workflow
from tiphys.reference import Reference
from tiphys.store.layout import Store
from tiphys.training.seen import seen_job

EPOCHS = """for e in 1 2 3; do
  echo "{\\"epoch\\": $e, \\"of\\": 3, \\"loss\\": 0.$e}" >> "$TIPHYS_REPORT"; echo $e/3 > "$ARGO_PROGRESS_FILE"
done; echo w > "$TIPHYS_MODEL_DIR/w" """


def test_a_training_that_told(tmp_path: Path) -> None:
    workflow = trained(job_of(output_model_name="m"), shell(EPOCHS), tmp_path).workflow
    here, elsewhere = seen_job(workflow, Store(tmp_path)), seen_job(workflow)
    assert here == elsewhere
    assert (here.phase, here.progress, here.metrics) == ("Succeeded", "3/3", {"loss": 0.3})
    assert (here.message, here.cause) == ("", "")
    assert Reference.parse(here.outputs["model"]).uri == "pvc://tiphys/models/m/train-0123456789"


@pytest.mark.parametrize(
    ("script", "dataset", "cause", "words"),
    [
        ("exit 3", "", "code", "train: Error (exit code 3)"),
        ("kill -9 $$", "", "preempted", "train: Error (exit code 137)"),
        (
            "true",
            "nowhere",
            "data_missing",
            "ready: Error (exit code 1): TIP708: the data set pvc://tiphys/datasets",
        ),
    ],
)
def test_why_it_failed(script: str, dataset: str, cause: str, words: str, tmp_path: Path) -> None:
    workflow = trained(job_of(dataset_id=dataset), shell(script, retries=1), tmp_path).workflow
    seen = seen_job(workflow, Store(tmp_path))
    assert (seen.phase, seen.cause, seen.progress) == ("Failed", cause, "")
    assert seen.message.startswith(words)


def test_what_is_no_fault_of_the_code_is_tried_again(tmp_path: Path) -> None:
    script = 'test -e "$TIPHYS_WORK_DIR/was" || { touch "$TIPHYS_WORK_DIR/was"; kill -9 $$; }'
    workflow = trained(job_of(), shell(script, retries=1), tmp_path).workflow
    assert seen_job(workflow).phase == "Succeeded"


def test_a_job_that_has_not_begun() -> None:
    workflow: Workflow = {
        "metadata": {"name": "train-a", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {},
    }
    assert seen_job(workflow).phase == "Pending"


@pytest.mark.parametrize(
    "metrics", ["", "[]", "{", '{"a": "x", "b": 1e999, "loss": 1}', '{"of": 0, "epoch": 1}']
)
def test_a_last_step_may_have_said_anything(metrics: str) -> None:
    step = {
        "id": "a-1", "name": "train-a[2].trained", "type": "Pod", "phase": "Succeeded", "templateName": "trained",
        "outputs": {"parameters": [{"name": "metrics", "value": metrics}]},
    }  # fmt: skip
    workflow = {"metadata": {"name": "train-a"}, "spec": {}, "status": {"nodes": {"a-1": step}}}
    seen = seen_job(workflow)  # type: ignore[arg-type]
    assert set(seen.metrics) <= {"loss"} and seen.progress == ""
