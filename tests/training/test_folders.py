"""Where a job's folders are, and how its containers see them."""

from __future__ import annotations

import pytest

from tests.training.jobs import job_of
from tiphys.training.folders import WorkflowSettings, folders_of


@pytest.mark.parametrize(
    ("dataset", "version", "uri", "path"),
    [
        ("", "", "", ""),
        ("mnist", "", "pvc://tiphys/datasets/mnist", "/mnt/tiphys/datasets/mnist"),
        ("mnist", "a" * 64, "pvc://tiphys/datasets/mnist", "/mnt/tiphys/datasets/mnist"),
        ("1", "hashDg==", "pvc://tiphys/datasets/1/hashDg==", "/mnt/tiphys/datasets/1/hashDg=="),
        ("pvc://lake/raw/", "sha256:" + "0" * 64, "pvc://lake/raw", "/mnt/lake/raw"),
    ],
)
def test_the_data_is_a_folder(dataset: str, version: str, uri: str, path: str) -> None:
    folders = folders_of(job_of(dataset_id=dataset, dataset_version=version), WorkflowSettings())
    assert folders.dataset == uri
    assert folders.path(folders.dataset) == path


def test_each_run_writes_where_no_other_does() -> None:
    first, second = (
        folders_of(job_of(run_name=name, output_model_name="m"), WorkflowSettings()) for name in ("a", "b")
    )
    assert first.model == "pvc://tiphys/models/m/a"
    assert first.report == "pvc://tiphys/records/a/a.jsonl"
    for each in ("model", "checkpoints", "logs", "reports"):
        assert getattr(first, each) != getattr(second, each)


def test_a_claim_of_the_data_is_mounted_beside_the_services() -> None:
    folders = folders_of(job_of(dataset_id="pvc://lake/raw"), WorkflowSettings(claim="team"))
    assert [each.claim for each in folders.defaults.volumes] == ["team", "lake"]
