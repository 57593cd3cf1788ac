"""Bars against fractions that are computed here."""

from __future__ import annotations

import re
from typing import Any

from tiphys.pages.gantt import MOST, gantt
from tiphys.records.cost import cost
from tiphys.records.record import AttemptRecord, RunRecord, StepRecord


def drawn(*steps: StepRecord, finished: float = 200.0) -> tuple[str, int]:
    run = RunRecord("r", "r", "", "", "local", "p", "Succeeded", started=100, finished=finished, steps=steps)
    return gantt(run, cost(run))


def step(name: str, started: float, finished: float, **more: Any) -> StepRecord:
    given = {"attempts": (AttemptRecord("n", 1, "Succeeded", "", None, started, finished),), **more}
    return StepRecord(
        name, name, "t", "Pod", given.pop("phase", "Succeeded"), started=started, finished=finished, **given
    )


def bars(text: str) -> list[tuple[str, float, float]]:
    found = re.findall(r'<i class="(\w+)" style="left:([\d.]+)%;width:([\d.]+)%"', text)
    return [(css, float(left), float(wide)) for css, left, wide in found]


def test_bars_lie_where_the_steps_ran() -> None:
    text, left = drawn(step("a", 100, 150), step("b", 150, 200))
    assert bars(text) == [("ok", 0, 50), ("ok", 50, 50)] and left == 0


def test_waiting_comes_before_and_attempts_that_failed_are_red() -> None:
    tries = (
        AttemptRecord("n", 1, "Failed", "OOM <b>", 137, 120, 140),
        AttemptRecord("n", 2, "Succeeded", "", 0, 150, 200),
    )
    text, _ = drawn(step("a", 100, 200, attempts=tries))
    assert bars(text) == [("wait", 0, 20), ("bad", 20, 20), ("ok", 50, 50)]
    assert "OOM &lt;b&gt;" in text and "attempt that failed" in text


def test_hits_and_what_still_runs() -> None:
    going = (AttemptRecord("n", 1, "Running", "", None, 150, 0),)
    text, _ = drawn(step("h", 100, 100, hit=True), step("g", 150, 0, phase="Running", attempts=going))
    assert bars(text) == [("hit", 0, 0), ("run", 50, 50)]


def test_nothing_ran() -> None:
    assert drawn() == ("", 0) and drawn(step("a", 0, 0)) == ("", 0)
    assert drawn(step("a", 100, 100, phase="Skipped")) == ("", 0)


def test_of_too_many_those_that_failed_and_the_longest_stay() -> None:
    many = [step(f"s{place}", 100, 101 + place / 1000) for place in range(MOST + 10)]
    many[0] = step("failed", 100, 100.5, phase="Failed")
    text, left = drawn(*many)
    assert left == 10 and "failed" in text and f"s{MOST + 9}<" in text and ">s1<" not in text
