"""Candidates beside the bar."""

from __future__ import annotations

from tests.records.test_candidates import model, run
from tiphys.server.views.judged import candidate_parts


def test_the_bar_the_chosen_and_the_weak() -> None:
    slices = {"day": {"mon": 0.9, "tue": 0.6}}
    good = {"report": model("a", 0.95, test_accuracy=0.9, slices=slices)}
    found = run(good, {"report": model("b", 0.5)}, {"first-name": "a"}, **{"min-accuracy": "0.9"})
    (part,) = candidate_parts(found)
    table, by_slice = part.grids
    assert [cell.text for cell in table.rows[0]][:5] == ["a", "95.00%", "90.00%", "+5.00 points", "first"]
    assert [row[1].mark for row in table.rows] == ["ok", "bad"] and "Below the bar: b." in part.warnings
    assert [(row[0].text, row[1].mark) for row in by_slice.rows] == [("day: tue", "bad"), ("day: mon", "")]
    assert table.rows[0][-1].link == "/ui/lineage?of=pvc%3A%2F%2Fm%2Fa" and len(part.drawings) == 1
    assert candidate_parts(run()) == []
