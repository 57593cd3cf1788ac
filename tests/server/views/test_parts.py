"""Addresses and cells, of names that anybody gave."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

from tiphys.server.views.parts import Cell, link


def test_addresses_lead_back_to_the_names() -> None:
    name = 'a/b?c#d "é"&<script>'
    parts = urlsplit(link("runs", name, "data"))
    first, second, found, last = parts.path[1:].split("/")
    assert (first, second, unquote(found), last) == ("ui", "runs", name, "data")
    assert parse_qs(urlsplit(link("lineage", of=name, down="")).query) == {"of": [name]}


def test_a_cell_shows_no_control_characters() -> None:
    assert "\u202e" not in Cell("a\u202eb\x1b[31m").shown and len(Cell("x" * 10_000).shown) < 500
