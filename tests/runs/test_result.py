"""How a workflow stands, shown."""

from __future__ import annotations

from tiphys.runs.result import Result


def test_in_a_notebook_it_is_its_nodes() -> None:
    evil = "<script>alert(1)</script>"
    node = {
        "id": "r-1",
        "name": "r.one",
        "displayName": evil,
        "type": "Pod",
        "phase": "Failed",
        "message": evil,
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:00:07Z",
    }
    outputs = {"parameters": [{"name": "accuracy", "value": "0.9"}]}
    status = {"phase": "Failed", "message": evil, "nodes": {"r-1": node}, "outputs": outputs}
    html = Result.of({"metadata": {"name": "r"}, "status": status})._repr_html_()  # type: ignore[typeddict-item]
    assert "Failed" in html and "7 s" in html and "accuracy" in html and "0.9" in html
    assert "<script" not in html and html.count("&lt;script&gt;") == 3
    assert "Pending" in Result("r", "", "Pending")._repr_html_()
