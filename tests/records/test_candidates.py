"""Reports of models, found in outputs by what they look like."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tiphys.records.candidates import Slice, bar, judged
from tiphys.records.record import RunRecord, StepRecord


def run(*outputs: dict[str, Any], **parameters: str) -> RunRecord:
    steps = tuple(
        StepRecord(
            f"n{place}",
            f"s{place}",
            "t",
            "Pod",
            "Succeeded",
            outputs={
                name: each if isinstance(each, str) else json.dumps(each) for name, each in said.items()
            },
        )
        for place, said in enumerate(outputs)
    )
    return RunRecord("r", "r", "", "", "local", "p", "Succeeded", parameters=parameters, steps=steps)


def model(name: str, accuracy: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "validation_accuracy": accuracy, "uri": f"pvc://m/{name}", **more}


def test_the_best_comes_first_and_the_chosen_are_marked() -> None:
    found = judged(
        run(
            {"report": model("a", 0.8)},
            {"report": model("b", 0.95)},
            {"first-name": "b", "first-uri": "pvc://m/b", "keep": "true"},
        )
    )
    assert [(each.name, each.accuracy, each.chosen) for each in found] == [
        ("b", 0.95, ("first",)),
        ("a", 0.8, ()),
    ]


NO_REPORTS = r"""
{
[]
3
{"confusion": [[1]]}
{"confusion": [[1, 2], [3]]}
{"confusion": 1}
{"accuracy": 0.5}
{"name": 3, "accuracy": 0.5}
{"name": "x", "accuracy": "high"}
{"confusion": [[1, -1], [0, 1]]}
{"confusion": [[1, "a"], [0, 1]]}
{"confusion": [[1, true], [0, 1]]}
"""


@pytest.mark.parametrize("output", [*NO_REPORTS.split("\n"), '{"a":' * 9999])
def test_what_is_no_report_is_passed_over(output: str) -> None:
    assert judged(run({"it": output})) == []


def test_the_bar() -> None:
    assert bar(run(**{"min-accuracy": "0.9"})) == 0.9
    assert bar(run({"min_accuracy": "0.7"})) == 0.7
    assert bar(run(**{"min-accuracy": "much"})) is None and bar(run()) is None


def test_classes_are_named_where_their_accuracies_tell_them_apart() -> None:
    matrix = [[8, 2], [1, 9]]
    apart = {"confusion": matrix, "class_accuracy": {"boot": 0.9, "bag": 0.8}}
    (found,) = judged(run({"r": apart}))
    assert found.classes == ["bag", "boot"] and math.isnan(found.accuracy) and found.name == "s0"
    (same,) = judged(run({"r": {"confusion": [[9, 1], [1, 9]], "class_accuracy": {"a": 0.9, "b": 0.9}}}))
    assert same.classes == ()


def test_all_that_a_report_says() -> None:
    told = model(
        "a", 0.8, test_accuracy=0.7, seconds=3, dataset="sha256:d", digest="sha256:m", synthetic=True,
        slices={"day": {"mon": 0.9, "tue": 0.6}, "label": {"boot": 0.8}, "odd": 3, "worse": {"x": "high"}},
    )  # fmt: skip
    (found,) = judged(run({"r": told}))
    assert (found.test, found.seconds, found.uri, found.dataset) == (0.7, 3, "pvc://m/a", "sha256:d")
    assert found.synthetic and found.step == "n0" and found.digest == "sha256:m"
    lowest = [Slice("day", "tue", 0.6), Slice("label", "boot", 0.8), Slice("day", "mon", 0.9)]
    assert found.slices == lowest
    (bare,) = judged(
        run({"r": {"name": "b", "accuracy": 0.5, "class_accuracy": {"x": 0.4}, "slices": "none"}})
    )
    assert math.isnan(bare.test) and bare.slices == [] and not bare.synthetic
    (classes,) = judged(run({"r": {"name": "b", "accuracy": 0.5, "class_accuracy": {"x": 0.4}}}))
    assert classes.slices == [Slice("class", "x", 0.4)]
