"""What differs between two runs."""

from __future__ import annotations

from dataclasses import replace

from tests.records.made import run
from tiphys.records.diff import RunDifference, differences


def test_what_is_the_same_is_not_told() -> None:
    one = run("a-1", params={"x": "1"}, metrics={"loss": 1.0}, uses="pvc://v/d/1")
    assert differences(one, one) == []
    assert differences(one, replace(one, key="b", name="b", uid="other", created=5.0)) == []


def test_all_that_may_differ() -> None:
    one = run("a-1", params={"x": "1", "y": "2"}, metrics={"loss": 1.0}, uses="pvc://v/d/1", seconds=60)
    two = run(
        "a-2",
        params={"x": "3", "z": "4"},
        metrics={"loss": 2.0},
        uses="pvc://v/d/2",
        phase="Failed",
        seconds=90,
    )
    one = replace(one, made_from={"git": "abc", "code": "c@1"})
    two = replace(two, made_from={"git": "abd", "code": "c@1"}, images=("python:3.13", "host:5000/x"))
    assert differences(one, two) == [
        RunDifference("made from", "git", "abc", "abd"),
        RunDifference("parameters", "x", "1", "3"),
        RunDifference("parameters", "y", "2", None),
        RunDifference("parameters", "z", None, "4"),
        RunDifference("data", "train: data", "pvc://v/d/1", "pvc://v/d/2"),
        RunDifference("images", "python", "python:3.12", "python:3.13"),
        RunDifference("images", "host:5000/x", None, "host:5000/x"),
        RunDifference("outcome", "", "Succeeded", "Failed"),
        RunDifference("outcome", "train", "Succeeded", "Failed"),
        RunDifference("metrics", "train: loss", 1.0, 2.0),
        RunDifference("times", "", 60.0, 90.0),
        RunDifference("times", "train", 59.0, 89.0),
    ]


def test_what_a_step_made_is_no_data_from_outside_and_a_step_of_the_runs_name_is_the_run() -> None:
    one, two = (run(key, uses=f"pvc://v/{key}", makes=f"pvc://v/{key}") for key in ("a", "b"))
    assert differences(one, two) == []
    steps = [
        (replace(each.steps[1], name=each.name, metrics={"loss": at}),)
        for at, each in enumerate((one, two), 1)
    ]
    found = differences(replace(one, steps=steps[0]), replace(two, steps=steps[1]))
    assert found == [RunDifference("metrics", "loss", 1, 2)]


def test_in_a_notebook() -> None:
    one = run("a", params={"lr": "<b>1</b>"})
    shown = differences(one, run("b", params={"lr": "2"}))._repr_html_()
    assert "&lt;b&gt;1&lt;/b&gt;" in shown
    assert "<b>1</b>" not in shown
    assert "nothing differs" in differences(one, one)._repr_html_()
