"""Reports of models, found in outputs by what they look like."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tiphys.pages.models import bar, candidates, confusions, judged
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
    found = run({"r": model("a", 0.5)}, {"r": model("b", 0.95)}, **{"min-accuracy": "0.9"})
    text = candidates(found, judged(found))
    assert text.count('class="ok"') == 1 and text.count('class="bad"') == 1 and text.count("<u ") == 2
    assert "left:90.00%" in text and "width:95.00%" in text
    assert candidates(run(), []) == ""


def test_classes_are_named_where_their_accuracies_tell_them_apart() -> None:
    matrix = [[8, 2], [1, 9]]
    apart = {"confusion": matrix, "class_accuracy": {"boot": 0.9, "bag": 0.8}}
    (found,) = judged(run({"r": apart}))
    assert found.classes == ["bag", "boot"] and math.isnan(found.accuracy) and found.name == "s0"
    (same,) = judged(run({"r": {"confusion": [[9, 1], [1, 9]], "class_accuracy": {"a": 0.9, "b": 0.9}}}))
    assert same.classes == ()


def test_matrices_and_how_many_are_left_out() -> None:
    reports = [{"r": model(f"m{place}", 0.5, confusion=[[1, 2], [0, 4]])} for place in range(8)]
    drawn, left = confusions(judged(run(*reports)))
    assert (len(drawn), left) == (6, 2)
    assert drawn[0].count("<td") == 4 and "rgba(var(--heat),0.600)" in drawn[0]
