"""A gang with a gap and a worker that lags, told."""

from __future__ import annotations

from tests.records.test_trainings import epochs, run, step
from tiphys.records.record import EventRecord
from tiphys.server.views.training import training_parts


def test_workers_side_by_side_with_what_to_look_at() -> None:
    events = [
        EventRecord("t", 1.0, "started", worker="worker-1"),
        EventRecord("t", 2.0, "failed", "exit code 137", "worker-1", 137),
        EventRecord("t", 4.0, "started", worker="worker-1", lost=2.0),
    ]
    points = epochs("worker-0", 0.9, 0.8) + epochs("worker-1", 0.7, 0.6, lag=4.0)
    (part,) = training_parts(run(step("t", points, events)))
    workers, gaps, told = part.grids
    assert [row[0].text for row in workers.rows] == ["worker-0", "worker-1"]
    assert [row[3].text for row in workers.rows] == ["0.8", "0.6"] and all(
        row[3].drawing for row in workers.rows
    )
    assert [row[6].mark for row in workers.rows] == ["", "bad"] and workers.rows[1][7].text == "2 s"
    assert [row[2].text for row in gaps.rows] == ["failed", "started"]  # the first start is none
    assert [[cell.text for cell in row[:2]] for row in told.rows][:2] == [
        ["2", "worker-0"],
        ["2", "worker-1"],
    ]
    assert (
        told.folded
        and any("slower" in text for text in part.warnings)
        and "began again 1" in part.warnings[-1]
    )
    assert training_parts(run()) == []
