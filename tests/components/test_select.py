"""Choosing the models, and taking slots."""

from __future__ import annotations

import math
import multiprocessing
import os
from pathlib import Path

import pytest

from components.claim import Claim, claim
from components.report import Report
from components.select import select
from tiphys.errors import ComponentError

FOLDER = "pvc://tiphys/runs/wf"


def report(name: str, validation: float, test: float = 0.5) -> Report:
    return Report(name, f"pvc://tiphys/models/{name}-1", "sha256:00", validation, test, 10.0, False)


def test_the_best_two_by_validation_accuracy() -> None:
    chosen = select([report("cnn", 0.91, test=0.99), report("dropout", 0.93), report("batch-norm", 0.92)])
    assert (chosen.first_name, chosen.second_name) == ("dropout", "batch-norm")
    assert chosen.first_uri == "pvc://tiphys/models/dropout-1"
    assert chosen.accuracies == [0.93, 0.92]
    assert chosen.keep == "dropout,batch-norm"
    assert chosen.selection["chosen"] == ["dropout", "batch-norm"]
    assert [item["name"] for item in chosen.selection["candidates"]] == ["dropout", "batch-norm", "cnn"]


def test_ties_go_by_name_whatever_the_order() -> None:
    reports = [report("b", 0.95), report("a", 0.95), report("c", 0.95)]
    assert select(reports).keep == select(reports[::-1]).keep == "a,b"


def test_exactly_the_least_accuracy_passes() -> None:
    assert select([report("a", 0.9), report("b", 0.9)], min_accuracy=0.9).keep == "a,b"


def test_one_is_enough_when_one_is_asked_for() -> None:
    chosen = select([report("a", 0.95), report("b", 0.1)], top=1)
    assert (chosen.first_name, chosen.second_name, chosen.second_uri, chosen.keep) == ("a", "", "", "a")
    assert chosen.accuracies == [0.95, 0.0]


def test_too_few_says_which_model_got_what() -> None:
    with pytest.raises(ComponentError) as caught:
        select([report("cnn", 0.91), report("dropout", 0.89), report("batch-norm", 0.8999)])
    assert caught.value.code == "TIP730"
    assert caught.value.message == "1 of the 2 models asked for reached the validation accuracy 0.9"
    assert caught.value.cause == "got: cnn 0.9100, batch-norm 0.8999, dropout 0.8900"


def test_who_was_dropped_is_listed_with_the_reason() -> None:
    lost = {"name": "batch-norm", "why": "failed", "reason": "it ended as Failed after epoch 3 of 10"}
    chosen = select([report("cnn", 0.91), report("dropout", 0.93)], dropped=[lost])
    assert chosen.selection["dropped"] == [lost]
    assert "batch-norm    dropped: it ended as Failed after epoch 3 of 10\n" in chosen.ranking
    assert select([report("cnn", 0.91), report("dropout", 0.93)]).selection["dropped"] == []


def test_no_report_at_all() -> None:
    with pytest.raises(ComponentError) as caught:
        select([])
    assert "no model at all" in caught.value.cause


@pytest.mark.parametrize(
    "arguments", [{"top": 0}, {"top": 3}, {"min_accuracy": 1.1}, {"min_accuracy": -0.1}], ids=str
)
def test_bad_parameters(arguments: dict[str, float]) -> None:
    with pytest.raises(ComponentError) as caught:
        select([report("a", 0.95), report("b", 0.95)], **arguments)  # type: ignore[arg-type]
    assert caught.value.code == "TIP731"


def test_bad_reports() -> None:
    with pytest.raises(ComponentError):
        select([report("a", 0.95), report("a", 0.96)])
    with pytest.raises(ComponentError):
        select([report("a", math.nan), report("b", 0.96)], top=1)
    with pytest.raises(ComponentError):
        select([report("a", 95.0), report("b", 0.96)], top=1)


def test_first_come_first_served(volume: Path) -> None:
    slots = ["first", "second"]
    assert claim("cnn", slots, FOLDER) == Claim("first")
    assert claim("dropout", slots, FOLDER) == Claim("second")
    assert claim("batch-norm", slots, FOLDER) == Claim("")
    assert claim("dropout", slots, FOLDER) == Claim("second")
    assert (volume / "runs/wf/slot-first").read_text() == "cnn"
    assert sorted(os.listdir(volume / "runs/wf")) == ["slot-first", "slot-second"]


def test_after_the_selection_no_slot_is_free(volume: Path) -> None:
    assert claim("cnn", ["first", "second"], FOLDER) == Claim("first")
    place = volume / "runs/wf/enough"
    place.mkdir()
    (place / "watched.json").write_text("[]")
    (place / "decision.json").write_text("{}")
    assert claim("cnn", ["first", "second"], FOLDER) == Claim("")
    assert claim("dropout", ["first", "second"], FOLDER) == Claim("")


def _claim(name: str) -> str:
    return claim(name, ["first", "second"], FOLDER).slot


def test_a_race_gives_each_slot_once(volume: Path) -> None:
    names = [f"model-{number}" for number in range(12)]
    with multiprocessing.get_context("fork").Pool(6) as pool:
        slots = pool.map(_claim, names)
    assert sorted(filter(None, slots)) == ["first", "second"]
    owners = {slot: names[slots.index(slot)] for slot in ("first", "second")}
    assert {slot: (volume / f"runs/wf/slot-{slot}").read_text() for slot in owners} == owners


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a" * 80, "a\nb"])
def test_names_that_are_none(volume: Path, name: str) -> None:
    with pytest.raises(ComponentError) as caught:
        claim(name, ["first"], FOLDER)
    assert caught.value.code == "TIP740"
    assert os.listdir(volume) == []
