"""How things are told to people."""

from __future__ import annotations

import pytest

from tiphys.pages.html import colour, duration, number, phase_class, safe, section, size, state, table, when
from tiphys.records.record import StepRecord


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (0.44, "0.4 s"), (12.4, "12 s"), (59.6, "1 m 00 s"), (185, "3 m 05 s"), (7320, "2 h 02 m")],
)
def test_durations(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_times_sizes_and_numbers() -> None:
    assert when(1767225600) == "2026-01-01 00:00:00 UTC" and when(0) == "" and when(1e30) == ""
    assert [size(each) for each in (0, 1536, 2**30, 2.0**50)] == ["0 B", "1.5 KiB", "1 GiB", "1024 TiB"]
    assert [number(each) for each in (0, 0.98765, 12345.0, 1e-7, 1e9)] == [
        "0",
        "0.9877",
        "1.234e+04",
        "1e-07",
        "1e+09",
    ]


def test_phases() -> None:
    assert phase_class("Succeeded") == "ok" and phase_class("Error") == "bad" and phase_class("?") == "none"
    assert phase_class("Succeeded", hit=True) == "hit"
    told = state(StepRecord("n", "s", "t", "Pod", "<b>"))
    assert "<b>" not in told and "&lt;b&gt;" in told


def test_text_of_others() -> None:
    assert safe("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;"
    assert len(safe("x" * 1000, 50)) <= 80


def test_tables_and_sections_of_nothing_are_nothing() -> None:
    assert table(("a",), []) == "" and section("t", "") == ""
    assert "<td class=n>2</td>" in table(("a", "b"), [("1", "2")], numbers=(1,))
    assert "<h2>t</h2>" in section("t", "<p>x</p>")


def test_colours_come_again_with_dashes() -> None:
    assert len({colour(place) for place in range(24)}) == 24
