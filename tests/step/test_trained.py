"""Before a training its data is looked at; after it its model is sealed, and what it told is summed up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tiphys.errors import ComponentError
from tiphys.reference import Reference, seal, verify
from tiphys.step.trained import digest_of, ready, trained

DATA, MODEL, REPORT = (
    "pvc://tiphys/datasets/mnist",
    "pvc://tiphys/models/m/run",
    "pvc://tiphys/records/r/r.jsonl",
)


@pytest.fixture
def claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIPHYS_VOLUMES", json.dumps({"tiphys": str(tmp_path)}))
    (tmp_path / "datasets" / "mnist").mkdir(parents=True)
    (tmp_path / "datasets" / "mnist" / "a.csv").write_text("1,2\n")
    return tmp_path


def test_folders_are_there_and_empty_before_the_training_begins(claim: Path) -> None:
    (claim / "models/m/run").mkdir(parents=True)
    (claim / "models/m/run/half").write_text("of an earlier attempt")
    assert ready("", "", MODEL, ["pvc://tiphys/work/run/logs"]) == ""
    assert list((claim / "models/m/run").iterdir()) == []
    assert (claim / "work/run/logs").is_dir()


def test_data_of_the_version_that_was_asked_for(claim: Path) -> None:
    digest = seal(claim / "datasets/mnist")
    assert {ready(DATA, each, MODEL, []) for each in (digest, digest[7:], "")} == {digest}


def test_data_of_another_version_is_named_with_both(claim: Path) -> None:
    there, wanted = seal(claim / "datasets/mnist"), "sha256:" + "0" * 64
    with pytest.raises(ComponentError) as raised:
        ready(DATA, wanted, MODEL, [])
    assert raised.value.code == "TIP708"
    assert wanted in raised.value.message and there in raised.value.message


@pytest.mark.parametrize("change", ["1,3\n", None])
def test_data_that_was_changed_after_it_was_sealed(claim: Path, change: str | None) -> None:
    digest = seal(claim / "datasets/mnist")
    file = claim / "datasets/mnist/a.csv"
    file.unlink() if change is None else file.write_text(change)
    with pytest.raises(ComponentError, match="is not what its version"):
        ready(DATA, digest, MODEL, [])


def test_a_version_that_is_no_digest_is_a_folder(claim: Path) -> None:
    (claim / "datasets/mnist/hashDg==").mkdir()
    assert ready(f"{DATA}/hashDg==", "hashDg==", MODEL, []) == "" == digest_of("hashDg==")
    with pytest.raises(ComponentError, match="other is not there; beside it are: hashDg=="):
        ready(f"{DATA}/other", "other", MODEL, [])


def test_data_without_a_manifest_has_no_version(claim: Path) -> None:
    assert ready(DATA, "", MODEL, []) == ""
    with pytest.raises(ComponentError, match="no version"):
        ready(DATA, "0" * 64, MODEL, [])


def test_a_model_is_sealed_once_it_is_there(claim: Path) -> None:
    assert trained(MODEL, REPORT).model == ""
    (claim / "models/m/run/empty").mkdir(parents=True)
    assert trained(MODEL, REPORT).model == ""
    (claim / "models/m/run/model.txt").write_text("w")
    made = trained(MODEL, REPORT).model
    assert verify(Reference.parse(made)) == "" and trained(MODEL, REPORT).model == made


def test_the_last_of_each_number_is_a_metric(claim: Path) -> None:
    (claim / "records/r").mkdir(parents=True)
    lines = [
        '{"epoch": 1, "of": 2, "loss": 0.5}',
        "no line",
        "[]",
        '{"loss": 0.25, "name": "x", "at": 3}',
        "{}",
    ]
    (claim / "records/r/r.jsonl").write_text("\n".join(lines))
    assert json.loads(trained(MODEL, REPORT).metrics) == {"epoch": 1, "of": 2, "loss": 0.25}


@pytest.mark.parametrize("worker", ["worker-0", "master-0"])
def test_of_a_gang_the_first_one_tells(claim: Path, worker: str) -> None:
    (claim / "records/r").mkdir(parents=True)
    (claim / f"records/r/r.{worker}.jsonl").write_text('{"loss": 1}\n')
    assert json.loads(trained(MODEL, REPORT).metrics) == {"loss": 1}


def test_a_summary_has_its_limit(claim: Path) -> None:
    (claim / "records/r").mkdir(parents=True)
    many = {f"metric_{each}": each for each in range(2000)}
    (claim / "records/r/r.jsonl").write_text(json.dumps(many))
    text = trained(MODEL, REPORT).metrics
    assert len(text) <= 4096 and json.loads(text)["metric_0"] == 0
