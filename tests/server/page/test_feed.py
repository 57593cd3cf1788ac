"""What an open page is told."""

from __future__ import annotations

import json
from pathlib import Path

from tests.server.page.visits import visitor
from tests.server.runs import laid_down


def test_a_change_is_told_from_where_the_page_stood(tmp_path: Path) -> None:
    with visitor(tmp_path) as client:
        number = client.desk.board.number
        laid_down(tmp_path, "gate")
        with client.get(f"/ui/runs/gate/feed?since={number}", stream=True) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            line = next(each for each in answer.iter_lines() if each.startswith(b"data:"))
        assert json.loads(line[5:])["phase"][0] == "Pending"
