"""Costs, against sums that are written out here."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tiphys.records.cost import as_json, cost, prometheus, total
from tiphys.records.record import AttemptRecord, Point, RunRecord, StepRecord

MI = 2**20


def attempt(number: int, phase: str, started: float, finished: float, **resources: int) -> AttemptRecord:
    return AttemptRecord(f"n{number}", number, phase, started=started, finished=finished, resources=resources)


def step(name: str = "s", **more: Any) -> StepRecord:
    given = {"started": 100.0, "finished": 160.0, "attempts": (attempt(1, "Succeeded", 100, 160),), **more}
    return StepRecord("n1", name, "t", given.pop("kind", "Pod"), given.pop("phase", "Succeeded"), **given)


def run(*steps: StepRecord) -> RunRecord:
    return RunRecord("r", "r", "", "", "local", "p", "Succeeded", started=100, finished=200, steps=steps)


def one(found: StepRecord, prices: dict[str, float] | None = None) -> Any:
    return cost(run(found), prices).steps[0].cost


def series(key: str, *values: tuple[float, float], worker: str = "", epoch: int = 0) -> list[Point]:
    return [Point("n1", at, key, value, epoch, worker) for at, value in values]


def test_what_argo_counted_is_paid_and_what_it_did_not_is_computed() -> None:
    counted = step(attempts=(attempt(1, "Succeeded", 100, 160, cpu=30, memory=120),))
    assert one(counted).paid == {"cpu": 30, "memory": 120 * 100 * MI}
    asked = step(requests={"cpu": 0.5, "memory": 100 * MI}, gang={"cpu": 2.0})
    assert one(asked).paid == pytest.approx({"cpu": 60 * 2.5, "memory": 6000 * MI})


def test_waiting_is_what_the_pod_had_not() -> None:
    """Its container ran for 40 of the 60 seconds of its node, and the step had waited 10 before."""
    found = one(
        step(
            started=90.0,
            requests={"memory": 200 * MI},
            attempts=(attempt(1, "Succeeded", 100, 160, memory=80),),
        )
    )
    assert (found.seconds, found.waited) == (40, 30)


def test_whole_seconds_are_no_waiting() -> None:
    found = one(step(requests={"memory": 100 * MI}, attempts=(attempt(1, "Succeeded", 100, 160, memory=59),)))
    assert (found.seconds, found.waited) == (60, 0)


def test_failed_attempts_and_what_lies_between_is_lost() -> None:
    tries = (attempt(1, "Failed", 100, 110), attempt(2, "Error", 115, 120), attempt(3, "Succeeded", 121, 130))
    found = one(step(kind="Retry", attempts=tries))
    assert (found.lost, found.failed, found.seconds) == (10 + 5 + 5 + 1, 2, 24)


def test_used_over_paid() -> None:
    told = [
        *series("cpu", (101, 1), (110, 8), worker="worker-0"),
        *series("cpu", (101, 2), (105, 6), (106, 1), (110, 3), worker="worker-1"),  # it began again
        *series("memory", (100, 100 * MI), (110, 300 * MI)),
        *series("received", (100, 5)),
    ]
    counted = attempt(1, "Succeeded", 100, 160, cpu=34, memory=40)
    found = one(step(points=tuple(told), attempts=(counted,)))
    assert found.used == {"cpu": 8 + 6 + 3, "memory": 2000 * MI}
    assert found.utilisation("cpu") == 17 / 34 and found.utilisation("memory") == 0.5
    assert found.utilisation("nvidia.com/gpu") is None
    unseen = step("other", attempts=(counted,))
    both = cost(run(step(points=tuple(told), attempts=(counted,)), unseen)).total
    assert both.paid["cpu"] == 68 and both.utilisation("cpu") == 17 / 34  # only of what was seen


def test_throughput() -> None:
    told = [point for epoch in (1, 2, 3, 4) for point in series("examples", (epoch, 50.0), epoch=epoch)]
    told += series("examples", (4.5, 70), epoch=4)  # told again
    told += [
        point
        for epoch, rate in ((1, 100.0), (2, 90.0), (3, 80.0), (4, 70.0))
        for worker in ("a", "b")
        for point in series("examples_per_second", (epoch, rate), worker=worker, epoch=epoch)
    ]
    found = cost(run(step(points=(*told, *series("cpu", (9, 11.0)))))).steps[0]
    assert found.cost.examples_per_cpu_second == (50 + 50 + 50 + 70) / 11
    assert found.trend == pytest.approx(-20 / 170)
    assert cost(run(step(points=tuple(told[:3])))).steps[0].trend is None


def test_prices() -> None:
    hour = step(attempts=(attempt(1, "Succeeded", 0, 3600, cpu=7200, memory=36864),))
    assert one(hour, {"cpu": 0.04, "memory": 0.005}).price == pytest.approx(2 * 0.04 + 1.0 * 0.005)
    assert one(hour).price is None
    assert one(replace(hour, hit=True), {"cpu": 1}).price == 0


def test_hits_skipped_steps_and_waits_of_people_cost_nothing() -> None:
    found = cost(run(step("hit", hit=True), step("wait", kind="Suspend"), step("left", phase="Skipped")))
    assert [(each.name, each.cost.seconds, each.cost.paid) for each in found.steps] == [
        ("hit", 0, {}),
        ("wait", 0, {}),
    ]
    assert cost(run()).total == total([])


def test_pools_add_up_to_the_total() -> None:
    found = cost(
        run(
            step("a", pool="training", requests={"cpu": 1}),
            step("b", pool="training", requests={"cpu": 1}),
            step("c", requests={"cpu": 1}),
        )
    )
    assert {name: each.paid["cpu"] for name, each in found.pools.items()} == {"": 60, "training": 120}
    assert found.total == total(found.pools.values())


def test_a_step_that_still_runs() -> None:
    found = one(
        step(phase="Running", finished=0.0, attempts=(attempt(1, "Running", 100, 0),), requests={"cpu": 1})
    )
    assert (found.seconds, found.waited, found.paid) == (0, 0, {"cpu": 0})


def test_formats() -> None:
    told = tuple(series("cpu", (101, 30)))
    found = cost(run(step('a"\\\n', points=told, requests={"cpu": 1})), {"cpu": 1})
    made = json.loads(json.dumps(as_json(found)))
    assert made["total"]["utilisation"] == {"cpu": 0.5} and made["steps"][0]["cost"]["used"] == {"cpu": 30}
    text = prometheus([found, found])
    labels = 'run="r",pipeline="p",step="a\\"\\\\\\n",pool="",resource="cpu"'
    assert f"tiphys_step_paid{{{labels}}} 60\n" in text
    assert text.count("# TYPE tiphys_step_paid gauge\n") == 1 and text.endswith("\n")
