"""All pages together."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests.server.page.visits import visitor
from tiphys.server.page import house

STATIC = Path(house.__file__).with_name("static")


def test_what_a_browser_loads_is_small() -> None:
    assert sum(len(gzip.compress(each.read_bytes())) for each in STATIC.iterdir()) < 100_000
    assert (STATIC / "page.js").read_text().count("\n") <= 300


def test_each_page_is_reached_from_the_navigation(tmp_path: Path) -> None:
    with visitor(tmp_path) as client:
        start = client.get("/")
        for page in house.PAGES:
            if page.NAV is not None:
                word, to = page.NAV
                assert f'href="{to}"' in start.text
                assert f"<title>{word}" in client.get(to).text


def test_what_is_not_there_is_told_on_a_page(tmp_path: Path) -> None:
    with visitor(tmp_path) as client:
        found = client.get("/ui/none")
        assert found.status_code == 404
        assert found.headers["content-type"].startswith("text/html")
