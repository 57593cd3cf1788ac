"""Bars of time."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from tests.server.page.planned import ran
from tiphys.server.page.timeline import rows


def test_each_step_that_began_has_a_row_inside_the_time_of_the_run(tmp_path: Path) -> None:
    _, _, record = ran(tmp_path)
    found, axis, left_out = rows(record)
    assert {each.step.name for each in found} == {
        each.name for each in record.steps if each.phase != "Omitted"
    }
    assert left_out == 0 and axis[0] == "0 s"
    for row in found:
        for bar in ElementTree.fromstring(row.svg).iter("rect"):
            assert 0 <= float(bar.attrib["x"].rstrip("%")) + float(bar.attrib["width"].rstrip("%")) <= 100.01
