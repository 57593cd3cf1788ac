"""Logs on the page."""

from __future__ import annotations

from pathlib import Path

from tests.server.page.visits import visitor
from tests.server.runs import ended
from tiphys.server.page.logs import marked


def test_the_log_of_a_step_is_shown(tmp_path: Path) -> None:
    ended(tmp_path, "old")
    with visitor(tmp_path) as client:
        text = client.get("/ui/runs/old/logs").text
        assert 'data-source="a"' in text and "hello\n" in text


def test_a_word_is_marked_and_lines_without_it_are_left_out() -> None:
    found = marked(["a <b> B", "other"], "B")
    assert found == "a &lt;<mark>b</mark>&gt; <mark>B</mark>"
    assert "other" in marked(["other"], "")
