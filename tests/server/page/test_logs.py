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


def test_a_container_beside_main_has_its_steps_name(tmp_path: Path) -> None:
    (node,) = [
        key for key, each in ended(tmp_path, "old.1")["status"]["nodes"].items() if each["type"] == "Pod"
    ]
    (tmp_path / "runs" / "old.1" / "logs" / f"{node}.helper.log").write_text("from helper\n")
    with visitor(tmp_path) as client:
        for query in ("", f"?step={node}"):
            text = client.get(f"/ui/runs/old.1/logs{query}").text
            assert 'data-source="a"' in text and 'data-source="a · helper"' in text
        assert "helper" not in client.get("/ui/runs/old.1/logs?step=other").text


def test_a_word_is_marked_and_lines_without_it_are_left_out() -> None:
    found = marked(["a <b> B", "other"], "B")
    assert found == "a &lt;<mark>b</mark>&gt; <mark>B</mark>"
    assert "other" in marked(["other"], "")
