"""Verbs of the page."""

from __future__ import annotations

from pathlib import Path

from tests.server.page.visits import visitor
from tests.server.runs import ended, laid_down


def test_what_is_asked_is_told_and_done(tmp_path: Path) -> None:
    ended(tmp_path, "old")
    with visitor(tmp_path) as client:
        assert "gone for good" in client.get("/ui/runs/old/do/delete").text
        assert client.get("/ui/runs/old/do/stop").status_code == 409
        assert client.get("/ui/runs/old/do/retry").status_code == 409
        assert client.get("/ui/runs/old/do/explode").status_code == 404
        assert client.fill("/ui/runs/old/do/delete").status_code == 200
        assert client.desk.board.get("old") is None


def test_a_run_that_goes_on_is_ended(tmp_path: Path) -> None:
    name = laid_down(tmp_path, "gate")
    with visitor(tmp_path) as client:
        assert "Everything ends at once" in client.get(f"/ui/runs/{name}/do/terminate").text
        client.fill(f"/ui/runs/{name}/do/terminate")
        found = client.desk.board.get(name)
        assert found is not None and found["status"]["phase"] == "Failed"
