"""Two runs that really ran."""

from __future__ import annotations

from tests.server.views.made import store
from tiphys.runs.records import Records
from tiphys.server.views.compare import difference_parts


def test_what_differs_and_by_how_much() -> None:
    found = difference_parts("one", "two", Records(store()).diff("one", "two"))
    parts = {part.title: part for part in found}
    assert [[cell.text for cell in row] for row in parts["Parameters"].grids[0].rows] == [
        ["epochs", "3", "1"]
    ]
    told, folded = parts["Metrics"].grids
    metrics = {row[0].text: [cell.text for cell in row[1:]] for row in told.rows}
    assert metrics["train: loss"] == ["0.3333", "1", "+200.0%"]
    assert folded.folded and all("memory" in row[0].text or "cpu" in row[0].text for row in folded.rows)


def test_the_same_run_twice() -> None:
    (part,) = difference_parts("one", "one", Records(store()).diff("one", "one"))
    assert part.title == "Nothing differs" and not part.grids
