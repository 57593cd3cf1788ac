"""Holes in data: of a made table of labels, days and sources, and of an ingested data set."""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from components.catalog import CLASSES
from components.dataset import Dataset
from components.expect import FASHION_MNIST, Expect, check, expect
from components.fingerprint import fingerprint
from components.ingest import ingest
from tiphys import Pipeline, Reference, component, run
from tiphys.engine import RunOptions
from tiphys.errors import ComponentError
from tiphys.reference import MANIFEST, resolve

Row = tuple[str, str, str]
COLUMNS = ("label", "day", "source")
DAYS = [f"2026-10-{day:02}" for day in range(1, 31)]
SOURCES = ["phone", "scanner", "web", "shop"]
# 60 000 rows: each class on each day from each source equally often
TABLE: list[Row] = list(itertools.product(CLASSES, DAYS, SOURCES)) * 50


def counted(rows: list[Row]) -> dict[str, dict[str, int]]:
    return {name: dict(Counter(row[index] for row in rows)) for index, name in enumerate(COLUMNS)}


EXACTLY = Expect(rows=len(TABLE), counts=counted(TABLE))


def without(part: float, column: int, value: str, seed: int = 1) -> list[Row]:
    rng = random.Random(seed)
    of_it = [index for index, row in enumerate(TABLE) if row[column] == value]
    gone = set(rng.sample(of_it, round(len(of_it) * part)))
    return [row for index, row in enumerate(TABLE) if index not in gone]


@pytest.mark.parametrize(("column", "value"), [(0, "Sandal"), (1, "2026-10-13"), (2, "scanner")])
@pytest.mark.parametrize("part", [0.01, 0.1, 1.0])
def test_a_hole_is_named_with_what_it_would_bias(part: float, column: int, value: str) -> None:
    findings = check(counted(without(part, column, value)), EXACTLY)
    named = {(each.column, each.value): each.text for each in findings if each.column}
    assert list(named) == [(COLUMNS[column], value)]
    assert any(word in named[COLUMNS[column], value] for word in ("the model", "that day"))
    assert ("no row of" if part == 1.0 else f"({part:.1%}) fewer") in named[COLUMNS[column], value]


@pytest.mark.parametrize("seed", range(12))
def test_a_thousandth_lost_at_random_passes(seed: int) -> None:
    rng = random.Random(seed)
    assert check(counted([row for row in TABLE if rng.random() >= 0.001]), EXACTLY) == []


def test_more_lost_at_random_than_may_be_is_found_and_no_class_is_blamed() -> None:
    rng = random.Random(3)
    findings = check(counted([row for row in TABLE if rng.random() >= 0.01]), EXACTLY)
    assert [(each.column, each.value) for each in findings] == [("", "")]
    assert "of 60 000 rows are missing" in findings[0].text


def test_rows_that_are_there_twice_and_values_that_nobody_knows() -> None:
    twice = check(counted([*TABLE, *[row for row in TABLE if row[0] == "Bag"][:200]]), EXACTLY)
    assert "'Bag' has 200 rows more than the 6 000 expected" in "; ".join(each.text for each in twice)
    other = check(counted([*TABLE, ("Hat", DAYS[0], SOURCES[0])]), EXACTLY)
    assert ("label", "Hat") in {(each.column, each.value) for each in other}


def test_of_shares_alone_a_tenth_is_seen_and_a_hundredth_is_not() -> None:
    """The size of a class itself varies by 70 of 5 400 rows; so whoever knows counts should say counts."""
    shares = Expect(shares={"label": dict.fromkeys(CLASSES, 0.1)})
    assert check(counted(without(0.01, 0, "Sandal")), shares) == []
    assert [each.value for each in check(counted(without(0.1, 0, "Sandal")), shares)] == ["Sandal"]


def test_days_without_gaps_and_the_sources_that_there_are() -> None:
    by = Expect(by={"day": "no gaps", "source": SOURCES})
    assert check(counted(TABLE), by) == []
    rows = [row for row in TABLE if row[1] not in DAYS[3:5] and row[2] != "web"]
    assert [each.value for each in check(counted(rows), by)] == ["2026-10-04", "2026-10-05", "web"]
    # a gap at either end is seen only by who says where the ends are
    ends = [row for row in TABLE if row[1] != DAYS[-1]]
    assert check(counted(ends), by) == []
    said = Expect(by={"day": "2026-10-01..2026-10-30"})
    assert [each.value for each in check(counted(ends), said)] == ["2026-10-30"]


def test_a_class_has_its_part_of_the_rows() -> None:
    rows = [row for row in TABLE if row[0] != "Coat"]
    findings = check({"label": counted(rows)["label"]}, Expect(per_class=(0.08, 0.12)))
    assert [(each.value, "at least" in each.text) for each in findings] == [("Coat", True)]
    many = check({"label": {"a": 90, "b": 10}}, Expect(per_class=(0.0, 0.5)))
    assert [each.value for each in many] == ["a"]


def test_an_ingested_data_set(dataset: Reference) -> None:
    """Generated, 600 rows: what is expected of the 60 000 is scaled to them."""
    passed = expect(dataset, FASHION_MNIST)
    assert passed.dataset == dataset
    assert passed.summary == "600 rows as expected (label, rows)"
    assert passed.data_time.startswith("20")


def test_data_that_is_ingested_again_is_as_new_as_that(source: Reference) -> None:
    data = ingest(source, validation_size=60).dataset
    os.utime(resolve(data.uri) / MANIFEST, (1e9, 1e9))
    assert expect(data, Expect()).data_time == "2001-09-09T01:46:40+00:00"
    assert ingest(source, validation_size=60).dataset == data
    assert expect(data, Expect()).data_time > "2026"


def test_a_class_that_is_missing_stops_the_training(
    source: Reference, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Dataset.counts

    def holed(self: Dataset, split: str) -> dict[str, dict[str, int]]:
        found = read(self, split)  # type: ignore[arg-type]
        del found["label"]["Sandal"]
        return found

    data = ingest(source, validation_size=60).dataset
    monkeypatch.setattr(Dataset, "counts", holed)
    with pytest.raises(ComponentError) as caught:
        expect(data, FASHION_MNIST)
    assert caught.value.code == "TIP709"
    assert "'Sandal' is missing in label" in caught.value.message
    assert "takes every one for another class" in caught.value.message


def test_fewer_rows_that_were_asked_for_are_expected(volume: Path) -> None:
    pytest.importorskip("numpy")
    data = ingest(fingerprint("synthetic", limit=600).source, validation_size=60, limit=200).dataset
    counts = Dataset.open(data).counts("train")["label"]
    assert sum(counts.values()) == 180
    both = {"label": {name: 20 for name in CLASSES}}
    assert check(both, FASHION_MNIST, asked=200) == []
    both["label"]["Bag"] = 0
    assert "Bag" in {each.value for each in check(both, FASHION_MNIST, asked=200)}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Expect(tolerance=1.0),
        lambda: Expect(per_class=(0.2, 0.1)),
        lambda: Expect(by={"day": "2026-10-30..2026-10-01"}),
        lambda: replace(Expect(), by={"day": "every"}),
    ],
)
def test_an_expectation_that_cannot_be(wrong: Callable[[], Expect], dataset: Reference) -> None:
    with pytest.raises(ComponentError) as caught:
        expect(dataset, wrong())
    assert caught.value.code == "TIP706"


def train(dataset: Reference) -> None:
    """Stands for a training."""


def test_nothing_is_trained_on_data_with_a_hole(tmp_path: Path) -> None:
    """In a pipeline: what trains takes the data from the step that looked at it."""

    def build(expected: Expect) -> Pipeline:
        with Pipeline("expecting") as pipeline:
            found = component(fingerprint)(source="synthetic", limit=200)
            data = component(ingest)(source=found.source, validation_size=20)
            looked = component(expect)(dataset=data.dataset, expected=expected)
            component(train)(dataset=looked.dataset)
        return pipeline

    options = RunOptions(store=tmp_path / "store")
    assert run(build(FASHION_MNIST), options=options).succeeded
    hole = Expect(counts={"label": {**FASHION_MNIST.counts["label"], "Hat": 6_000}}, rows=66_000)
    failed = run(build(hole), options=options)
    nodes = {node["displayName"]: node for node in failed.workflow["status"]["nodes"].values()}
    assert nodes["expect"]["phase"] == "Failed"
    said = [log.read_text(errors="replace") for log in (tmp_path / "store/runs").rglob("*.log")]
    assert any("TIP709" in text and "'Hat' is missing in label" in text for text in said)
    assert nodes["train"]["phase"] == "Omitted"
