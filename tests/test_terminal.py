"""Text of others as a terminal is given it."""

from __future__ import annotations

from tiphys.terminal import plain


def test_signs() -> None:
    assert plain("a\x1b[2J\x07\x00\x7f\x9b\u202e\u2028b\r") == r"a\x1b[2J\x07\x00\x7f\x9b\u202e\u2028b\r"
    kept = "tab\tline\näöü 日本 🙂 | \u00a0 ✔ {} 👩\u200d👩\u200d👧 e\u0301"
    assert plain(kept) == kept
    assert plain("\ud800\udcff") == r"\ud800\udcff"
    assert plain("x" * 5000, 10) == "x" * 10 + "… (4990 characters more)"
