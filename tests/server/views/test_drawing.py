"""Drawings are XML that a strict parser reads, whatever they are called."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element, fromstring

import pytest

from tests.server.views.made import EVIL
from tiphys.server.views.drawing import bars, meter, spark


def of(svg: str, tag: str) -> list[Element]:
    return list(fromstring(svg).iter(tag))


def test_a_line_goes_from_left_to_right_and_up_is_more() -> None:
    svg = spark([(1, 5), (2, 9), (3, 7)], EVIL)
    (line,) = of(svg, "polyline")
    (x1, y1), (x2, y2), (x3, y3) = (map(float, place.split(",")) for place in line.attrib["points"].split())
    assert x1 < x2 < x3 and y2 < y3 < y1
    assert of(svg, "title")[0].text == EVIL and not of(svg, "script")


@pytest.mark.parametrize("points", [[], [(1, 1)], [(1, math.nan), (2, 2)], [(1, math.inf), (2, -math.inf)]])
def test_no_line_of_less_than_two_points(points: list[tuple[float, float]]) -> None:
    assert spark(points, "x") == ""


def test_how_full_it_is() -> None:
    rail, half = of(meter(0.5, EVIL), "rect")
    assert float(half.attrib["width"]) == float(rail.attrib["width"]) / 2
    rail, over = of(meter(3.0, "x"), "rect")
    assert over.attrib["width"] == "120.0" and "bad" in meter(3.0, "x")
    assert meter(None, "x") == meter(math.nan, "x") == ""


def test_bars_and_the_line() -> None:
    svg = bars([(EVIL, 0.5, "50 %", "ok"), ("b", 1.0, "all", "bad"), ("c", math.nan, "", "")], "t", line=0.5)
    first, second = (each for each in of(svg, "rect") if each.attrib["class"] == "fill")
    assert float(second.attrib["width"]) == pytest.approx(2 * float(first.attrib["width"]))
    end = float(first.attrib["x"]) + float(first.attrib["width"])
    assert of(svg, "path")[0].attrib["d"].startswith(f"M{end:.1f},") and not of(svg, "script")
    assert "path" not in bars([("a", 1.0, "", "ok")], "t") and bars([], "t") == ""
