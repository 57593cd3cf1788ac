"""What is done about a data set that is gone: the same one is made again, in its place, or it is said why not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from components.dataset import Dataset
from components.fingerprint import fingerprint
from components.ingest import ingest
from components.restore import read, restore
from tiphys.errors import ComponentError
from tiphys.reference import Reference, resolve, verify


def test_what_is_there_is_left_alone(dataset: Reference) -> None:
    before = resolve(dataset.uri).stat().st_mtime_ns
    assert restore(dataset).how == "there"
    assert resolve(dataset.uri).stat().st_mtime_ns == before


@pytest.mark.parametrize("lost", ["gone", "a shard gone", "altered", "with its source"])
def test_what_is_lost_is_made_again_with_the_same_bytes(
    volume: Path, dataset: Reference, source: Reference, lost: str
) -> None:
    folder = resolve(dataset.uri)
    shard = next(folder.glob("train-*"))
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    if lost == "a shard gone":
        shard.unlink()
    elif lost == "altered":
        with shard.open("r+b") as stream:
            stream.write(b"\xff")
        os.utime(shard, (0, 0))
    else:
        shutil.rmtree(folder)
    if lost == "with its source":
        shutil.rmtree(resolve(source.uri))
    how = restore(dataset).how
    assert dataset.uri in how and how.endswith("it was ingested again")
    assert verify(dataset) == ""
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
    assert Dataset.open(dataset, content=True).examples("train") == 540


def test_what_was_made_otherwise_is_told_from_another_one(dataset: Reference, source: Reference) -> None:
    """The recipe of a data set is the one that it was made by last."""
    other = ingest(source, validation_size=70, shard_size=200).dataset
    shutil.rmtree(resolve(dataset.uri))
    shutil.rmtree(resolve(other.uri))
    restore(dataset)
    restore(other)
    assert verify(dataset) == verify(other) == ""


def test_a_source_that_gives_other_data_now(volume: Path, dataset: Reference) -> None:
    shutil.rmtree(resolve(dataset.uri))
    with pytest.raises(ComponentError) as caught:
        restore(Reference(dataset.uri, "sha256:" + "0" * 64))
    assert caught.value.code == "TIP708" and "gives another one now" in caught.value.message


def test_one_that_nobody_wrote_a_recipe_for(volume: Path) -> None:
    fingerprint("synthetic", 600)
    with pytest.raises(ComponentError) as caught:
        restore(Reference("pvc://tiphys/datasets/none"))
    assert caught.value.code == "TIP708" and "nothing says how it was made" in caught.value.message


def test_data_that_is_lost_while_it_is_read_is_read_once_more(dataset: Reference) -> None:
    times = []

    def rows(data: Dataset) -> int:
        if not times:
            shutil.rmtree(resolve(dataset.uri))
        times.append(None)
        return sum(len(labels) for _, labels in data.batches("train", 100))

    assert (read(dataset, rows), len(times)) == (540, 2)


def test_an_error_over_sound_data_is_told_at_once(dataset: Reference) -> None:
    times = []

    def wrong(data: Dataset) -> int:
        times.append(data.examples("train"))
        raise ValueError("not a matter of the data")

    with pytest.raises(ValueError, match="not a matter"):
        read(dataset, wrong)
    assert times == [540]
