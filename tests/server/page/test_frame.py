"""What all pages have."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError
from starlette.requests import Request

from tests.server.page.visits import visitor
from tiphys.engine.base.options import RunOptions
from tiphys.server.desk import Desk
from tiphys.server.page.frame import Frame


def test_a_page_may_load_nothing_from_elsewhere_and_nobody_may_frame_it(tmp_path: Path) -> None:
    with visitor(tmp_path) as client:
        found = client.get("/ui/runs")
        policy = found.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "://" not in found.text


def test_a_name_that_a_template_does_not_know_is_an_error(tmp_path: Path) -> None:
    frame = Frame(Desk(RunOptions(store=tmp_path)), [])
    request = Request({"type": "http", "path": "/ui/runs", "query_string": b"", "headers": []})
    with pytest.raises(UndefinedError):
        frame.show(request, "runs.html", title="Runs")
