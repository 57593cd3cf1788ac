"""Line charts: what is drawn, what is left out."""

from __future__ import annotations

import re
from typing import Any

from tiphys.pages.charts import MOST_CHARTS, MOST_SERIES, Series, chart, constant, reported, used
from tiphys.pages.html import number
from tiphys.records.record import Point, RunRecord, StepRecord
from tiphys.records.usage import MOST_POINTS


def run(*points: Point) -> RunRecord:
    steps = (StepRecord("n", "s", "t", "Pod", "Succeeded", points=points),)
    return RunRecord("r", "r", "", "", "local", "p", "Succeeded", started=100, steps=steps)


def draw(lines: list[Series]) -> str:
    return chart("it", lines, x=number, y=number, across="epoch")


def places(text: str) -> list[list[float]]:
    found = re.search(r'class="line" d="M(.*?)"', text)
    assert found
    return [[float(each) for each in pair.split(",")] for pair in found[1].split("L")]


def test_a_line_rises_to_the_right_and_lies_in_the_frame() -> None:
    drawn = places(draw([Series("a", [(1, 0.1), (2, 0.5), (3, 0.9)])]))
    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)
    assert [y for _, y in drawn] == sorted((y for _, y in drawn), reverse=True)
    assert all(0 <= x <= 420 and 0 <= y <= 230 for x, y in drawn)


def test_nothing_is_no_chart() -> None:
    assert draw([]) == "" and draw([Series("a", [])]) == ""
    assert reported(run()) == ([], 0) and used(run()) == []


def test_one_point_is_a_dot() -> None:
    assert "<circle" in draw([Series("a", [(1.0, 0.0)])])


def test_too_many_lines_are_told() -> None:
    text = draw([Series(str(place), [(1, place), (2, place)]) for place in range(MOST_SERIES + 3)])
    assert "3 more lines are left out." in text and text.count("<li>") == MOST_SERIES


def test_too_many_keys_are_told() -> None:
    points = [Point("n", at, f"k{place:02}", at, at) for place in range(MOST_CHARTS + 2) for at in (1, 2)]
    drawn, left = reported(run(*points))
    assert (len(drawn), left) == (MOST_CHARTS, 2)


def test_the_last_word_on_an_epoch_counts() -> None:
    drawn, _ = reported(
        run(Point("n", 1, "loss", 9, 1), Point("n", 2, "loss", 1, 1), Point("n", 3, "loss", 0, 2))
    )
    assert ">9<" not in drawn[0] and "epoch" in drawn[0]


def test_what_never_changes_is_told_and_not_drawn() -> None:
    told = run(*(Point("n", at, "examples", 5.0, at) for at in (1, 2, 3)))
    assert reported(told) == ([], 0) and constant(told) == {"examples": 5.0}


def test_no_peak_is_lost() -> None:
    points: Any = [Point("n", 100 + at, "memory", 2**20 * (999 if at == 4321 else 1)) for at in range(10_000)]
    (drawn,) = used(run(*points))
    drawn_places = places(drawn)
    assert len(drawn_places) == MOST_POINTS
    assert min(y for _, y in drawn_places) < 20


def test_cores_are_what_was_spent_between_samples() -> None:
    points = [Point("n", 100 + at, "cpu", value) for at, value in enumerate((0, 2, 4, 0.5, 2.5))]
    (drawn,) = used(run(*points))
    assert "cores in use" in drawn and drawn.count("<circle") == 3  # not where the process began again


def test_there_is_no_epoch_and_a_half() -> None:
    drawn = draw([Series("a", [(1, 0.1), (2, 0.5)])])
    assert ">1.5<" not in drawn
    half = draw([Series("a", [(1.5, 0.1), (2.5, 0.5)])])
    assert 'text-anchor="middle">2<' in half


def test_a_line_has_the_colour_of_its_place_also_where_others_are_empty() -> None:
    both = draw([Series("a", [(1, 0.1), (2, 0.5)]), Series("b", [(1, 0.2), (2, 0.3)])])
    one = draw([Series("a", []), Series("b", [(1, 0.2), (2, 0.3)])])
    css = re.search(r'<g class="(\w+)"><title>b<', both)
    assert css is not None
    assert f'<g class="{css[1]}"><title>b<' in one
