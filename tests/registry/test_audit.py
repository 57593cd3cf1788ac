"""The audit in pages: nothing is left out, and who makes a page makes the same one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.registry.test_changes import moved, three
from tiphys.errors import RefusedError, StoreError
from tiphys.registry.audit import PAGE, check_size, full_page, linear, read_page


def test_every_change_is_in_one_page_or_in_the_document() -> None:
    document, pages, written = three(), {}, three()
    for number in range(5 * PAGE + 3):
        document = moved(document, number % 3 + 1)
        page, document = full_page(document)
        if page is not None:
            old = [row.json() for row in written.changes]
            assert [row.json() for row in read_page(page.text, page.number, "fashion")] == old[:PAGE]
            assert page.number not in pages
            pages[page.number] = page.text
        written = document
    rows = [row for number, text in sorted(pages.items()) for row in read_page(text, number, "fashion")]
    rows += document.changes
    assert len(rows) == 5 * PAGE + 3 and linear(rows) == ""
    assert len(document.changes) <= 2 * PAGE and len(document.text()) < 25_000


def test_a_gap_or_a_move_from_elsewhere_is_not_linear() -> None:
    rows = [*moved(three(), 1, 2, 3).changes]
    assert linear(rows) == ""
    assert linear(rows[1:]) == "2 comes after 0"
    assert (
        linear([rows[0], replace(rows[2], sequence=2)])
        == "change 2 begins at 2, and the one before it ended at 1"
    )


def test_another_page_is_told() -> None:
    document = three()
    for number in range(2 * PAGE + 1):
        document = moved(document, number % 3 + 1)
    page, _ = full_page(document)
    assert page is not None
    for text, number in ((page.text, 2), ("{}", 1), ("[1]", 1), ("", 1)):
        with pytest.raises(StoreError, match="TIP461"):
            read_page(text, number, "fashion")


def test_what_a_configmap_cannot_hold_is_refused() -> None:
    with pytest.raises(RefusedError, match="TIP267"):
        check_size(three(), "x" * 900_001)
    check_size(three(), "x" * 900_000)
