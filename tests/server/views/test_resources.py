"""Use against bounds, and prices that people type."""

from __future__ import annotations

import json
from typing import Any

from tests.server.views.made import store
from tiphys.records.record import Point, RunRecord, StepRecord
from tiphys.runs.records import record_of
from tiphys.server.views.resources import prices_of, resource_parts
from tiphys.store import Store


def test_prices() -> None:
    assert prices_of({"cpu": "0,04", "memory": "0.005"}) == {"cpu": 0.04, "memory": 0.005}
    for wrong in ("", "x", "-1", "nan", "inf", "<script>"):
        assert prices_of({"cpu": wrong}) == {}


def test_close_to_a_limit_is_told() -> None:
    template: Any = {"name": "t", "container": {"resources": {"limits": {"memory": "100", "cpu": "2"}}}}
    points = (Point("n", 2.0, "memory", 95.0), Point("n", 3.0, "cpu", 4.0))
    step = StepRecord("n", "s", "t", "Pod", "Succeeded", started=1.0, finished=5.0, points=points)
    run = RunRecord("r", "r", "", "", "local", "p", "Succeeded", steps=(step,))
    use, *_ = resource_parts({"metadata": {}, "spec": {"templates": [template]}}, run, {})
    (row,) = use.grids[0].rows
    assert (row[4].text, row[4].mark, row[5].text, row[9].text) == ("95%", "bad", "1", "50%")
    assert "Close to the memory limit" in use.warnings[0]


def test_what_a_run_cost_is_what_its_cores_ran_for() -> None:
    workflow = json.loads((store() / "runs" / "one" / "workflow.json").read_text())
    run = record_of(workflow, Store(store()), "one")
    *_, cost = resource_parts(workflow, run, {"cpu": 3600.0, "memory": 0.0})
    *steps, whole = cost.grids[0].rows
    # at that price a core-second costs one: Argo's own sum of the run, in seconds of a core
    assert float(whole[8].text) == workflow["status"]["resourcesDuration"]["cpu"] / 1
    assert {row[0].text for row in steps} == {"ingest", "train"}
