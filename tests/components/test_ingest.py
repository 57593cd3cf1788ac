"""Ingestion: what it writes, that it writes it once and whole, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from components.dataset import Dataset
from components.fingerprint import fingerprint
from components.idx import read_pair
from components.ingest import ingest
from tiphys.errors import ComponentError
from tiphys.reference import MANIFEST, Reference, resolve, seal, verify

np = pytest.importorskip("numpy")


def description(reference: Reference) -> Any:
    return json.loads((resolve(reference.uri) / "dataset.json").read_bytes())


def rows(dataset: Dataset, split: Any) -> list[bytes]:
    """Each example of the split as its label and its pixels."""
    return [
        bytes([label]) + image.tobytes()
        for images, labels in dataset.batches(split, 7)
        for image, label in zip(images, labels, strict=True)
    ]


def test_the_splits_are_all_of_the_source_and_disjoint(source: Reference, dataset: Reference) -> None:
    folder = resolve(source.uri)
    images, labels = read_pair(folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte")
    opened = Dataset.open(dataset, content=True)
    expected = Counter(bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True))
    assert Counter(rows(opened, "train")) + Counter(rows(opened, "validation")) == expected
    images, labels = read_pair(folder / "t10k-images-idx3-ubyte", folder / "t10k-labels-idx1-ubyte")
    assert rows(opened, "test") == [bytes([b]) + a.tobytes() for a, b in zip(images, labels, strict=True)]


def test_the_validation_split_is_stratified(dataset: Reference) -> None:
    counts = description(dataset)["splits"]["validation"]["class_counts"]
    assert set(counts.values()) == {6}  # 600 images, 60 of each class; a tenth of each


def test_shards_and_their_digests(dataset: Reference) -> None:
    about = description(dataset)
    train = about["splits"]["train"]
    assert [shard["examples"] for shard in train["shards"]] == [200, 200, 140]
    for split in about["splits"].values():
        for shard in split["shards"]:
            data = (resolve(dataset.uri) / shard["file"]).read_bytes()
            assert len(data) == 785 * shard["examples"]
            assert hashlib.sha256(data).hexdigest() == shard["sha256"]
        assert sum(split["class_counts"].values()) == split["examples"]
    assert about["schema"]["record_bytes"] == 785
    assert about["content"].startswith("sha256:")


def test_generated_data_is_marked(dataset: Reference, source: Reference) -> None:
    assert description(dataset)["synthetic"] is True
    assert Dataset.open(dataset).synthetic
    assert "GENERATED" in ingest(source, validation_size=60, shard_size=200).summary


def test_the_same_inputs_give_the_same_bytes(
    volume: Path, source: Reference, dataset: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPHYS_CACHE_KEY", "ingest-other")
    other = ingest(source, validation_size=60, shard_size=200).dataset
    assert other.uri == "pvc://tiphys/datasets/ingest-other"
    assert other.digest == dataset.digest


def test_shard_size_does_not_change_the_order_but_the_seed_does(
    source: Reference, dataset: Reference
) -> None:
    one = Dataset.open(ingest(source, validation_size=60, shard_size=10_000).dataset)
    assert rows(one, "train") == rows(Dataset.open(dataset), "train")
    other = Dataset.open(ingest(source, validation_size=60, shard_size=10_000, seed=8).dataset)
    assert set(rows(one, "validation")) != set(rows(other, "validation"))


def test_again_nothing_is_written(volume: Path, source: Reference, dataset: Reference) -> None:
    def written() -> dict[Path, int]:
        return {
            path: path.stat().st_mtime_ns
            for path in (volume / "datasets").rglob("*")
            if path.name != MANIFEST
        }

    before, sealed = written(), (resolve(dataset.uri) / MANIFEST).read_bytes()
    assert ingest(source, validation_size=60, shard_size=200).dataset == dataset
    assert written() == before
    assert (resolve(dataset.uri) / MANIFEST).read_bytes() == sealed  # its time says that the data came again


def test_a_damaged_data_set_is_seen_and_made_again(source: Reference, dataset: Reference) -> None:
    shard = resolve(dataset.uri) / "train-00001-of-00003.bin"
    good = shard.read_bytes()
    shard.write_bytes(bytes(len(good)))
    with pytest.raises(ComponentError) as caught:
        Dataset.open(dataset, content=True)
    assert caught.value.code == "TIP708"
    assert ingest(source, validation_size=60, shard_size=200).dataset == dataset
    assert shard.read_bytes() == good


def test_a_limit_scales_all_splits(source: Reference) -> None:
    about = description(ingest(source, validation_size=60, limit=300).dataset)
    sizes = {split: about["splits"][split]["examples"] for split in about["splits"]}
    assert sizes == {"train": 270, "validation": 30, "test": 50}
    assert set(about["splits"]["train"]["class_counts"].values()) == {27}
    assert set(about["splits"]["test"]["class_counts"].values()) == {5}


def test_a_limit_above_what_there_is_is_all(source: Reference) -> None:
    about = description(ingest(source, validation_size=60, limit=10**9).dataset)
    assert about["splits"]["train"]["examples"] == 540


@pytest.mark.parametrize(
    "bad",
    [
        {"validation_size": 0},
        {"validation_size": 600},
        {"shard_size": 0},
        {"seed": -1},
        {"limit": -1},
        {"limit": 1},
    ],
    ids=str,
)
def test_bad_parameters(volume: Path, source: Reference, bad: dict[str, int]) -> None:
    with pytest.raises(ComponentError) as caught:
        ingest(source, **{"validation_size": 60, **bad})
    assert caught.value.code == "TIP706"
    assert not (volume / "datasets").exists()


def test_a_source_that_was_altered(volume: Path, source: Reference) -> None:
    (resolve(source.uri) / "t10k-labels-idx1-ubyte").write_bytes(b"")
    with pytest.raises(ComponentError) as caught:
        ingest(source, validation_size=60)
    assert caught.value.code == "TIP702"
    assert not (volume / "datasets").exists()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"),
    ],
)
def test_swapped_files_leave_nothing(volume: Path, source: Reference, one: str, other: str) -> None:
    folder = resolve(source.uri)
    (folder / one).rename(folder / "kept")
    (folder / other).rename(folder / one)
    (folder / "kept").rename(folder / other)
    with pytest.raises(ComponentError) as caught:
        ingest(Reference(source.uri, seal(folder)), validation_size=60)
    assert caught.value.code in ("TIP704", "TIP705")
    assert not (volume / "datasets").exists()


STEP = [sys.executable, "-m", "tiphys.step", "components.ingest:ingest"]


def environment(source: Reference, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "TIPHYS_INPUT_SOURCE": str(source),
        "TIPHYS_INPUT_VALIDATION_SIZE": "60",
        "TIPHYS_OUTPUTS": str(tmp_path / "outputs"),
    }


def test_as_a_step(source: Reference, tmp_path: Path) -> None:
    done = subprocess.run(STEP, env=environment(source, tmp_path), timeout=60, check=False)
    assert done.returncode == 0
    assert verify(Reference.parse((tmp_path / "outputs/dataset").read_text())) == ""


def test_a_full_disk_leaves_nothing(volume: Path, source: Reference, tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", *STEP],
        env=environment(source, tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "TIP707" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(volume / "datasets") == []


def test_sigterm_in_the_middle_leaves_nothing(volume: Path, source: Reference, tmp_path: Path) -> None:
    code = f"""
import os, signal, sys
import components.dataset, components.ingest
from tiphys.step import main
real = components.ingest.content_digest
def stopped(splits):
    os.kill(os.getpid(), signal.{signal.SIGTERM.name})  # when all shards are written
    return real(splits)
components.ingest.content_digest = stopped
sys.exit(main(["components.ingest:ingest"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(source, tmp_path), timeout=60, check=False
    )
    assert done.returncode == 143
    assert os.listdir(volume / "datasets") == []


def test_reading_in_batches_and_by_index(dataset: Reference) -> None:
    opened = Dataset.open(dataset)
    sizes = [len(labels) for _, labels in opened.batches("train", 150)]
    assert sizes == [150, 150, 150, 90]
    everything = np.concatenate([images for images, _ in opened.batches("train", 64)])
    images, _ = opened.take("train", [539, 0, 200])
    assert (images == everything[[539, 0, 200]]).all()


def test_a_data_set_that_is_not_one(volume: Path, source: Reference) -> None:
    with pytest.raises(ComponentError) as caught:
        Dataset.open(source)
    assert caught.value.code == "TIP708"
    with pytest.raises(ComponentError):
        Dataset.open(Reference("pvc://tiphys/datasets/none"))


def test_fingerprint_of_generated_data_does_not_change(volume: Path) -> None:
    first = fingerprint("synthetic", limit=200).source
    resolve(first.uri).joinpath("manifest.json").unlink()
    assert fingerprint("synthetic", limit=200).source == first
