"""Runs as lines, and as columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.records.made import run
from tiphys.errors import RefusedError
from tiphys.records.index import Index
from tiphys.records.listed import listed
from tiphys.store import Store


def test_lines_and_columns(tmp_path: Path) -> None:
    one = run("a-1", params={"x": "1"}, labels={"team": "ml"}, metrics={"loss": 1.0, "val": 3.0})
    more = replace(one.steps[1], node="n", metrics={"loss": 2.0})
    with Index(Store(tmp_path)) as index:
        index.put(
            [("1", replace(one, steps=(*one.steps, more))), ("1", run("a-2", started=5.0, phase="Running"))]
        )
        (first, second), notes = listed(index)
        assert (first.key, second.key, notes) == ("a-1", "a-2", [])
        assert (first.parameters, first.labels, first.metrics) == (
            {"x": "1"},
            {"team": "ml"},
            {"loss": 2.0, "val": 3.0},
        )
        assert (first.seconds, second.seconds, second.finished) == (60.0, 0.0, 0.0)
        flat = first.flat()
        assert (flat["key"], flat["params.x"], flat["labels.team"], flat["metrics.loss"]) == (
            "a-1",
            "1",
            "ml",
            2.0,
        )
        assert [each.key for each in listed(index, "", "started", 1)[0]] == ["a-2"]
        found, notes = listed(index, "metrics.los > 1")
        assert (found, notes) == (
            [],
            ["no run has metrics.los. Did you mean 'metrics.loss' or 'metrics.val'?"],
        )
        with pytest.raises(RefusedError):
            listed(index, "phase = ")
