"""Text of others as a terminal is given it."""

from __future__ import annotations

import os
import shutil

import pytest

from tiphys.terminal import columns, plain


def test_signs() -> None:
    assert plain("a\x1b[2J\x07\x00\x7f\x9b\u202e\u2028b\r") == r"a\x1b[2J\x07\x00\x7f\x9b\u202e\u2028b\r"
    kept = "tab\tline\näöü 日本 🙂 | \u00a0 ✔ {} 👩\u200d👩\u200d👧 e\u0301"
    assert plain(kept) == kept
    assert plain("\ud800\udcff") == r"\ud800\udcff"
    assert plain("x" * 5000, 10) == "x" * 10 + "… (4990 characters more)"


@pytest.mark.parametrize("said", [None, "", "30", "0", "-4", "wide", " 7 "])
@pytest.mark.parametrize("measured", [None, 0, 132])
def test_the_width_is_that_which_the_standard_library_finds(
    said: str | None, measured: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def size(_: int) -> os.terminal_size:
        if measured is None:
            raise OSError("no terminal")
        return os.terminal_size((measured, 24))

    monkeypatch.setattr(os, "get_terminal_size", size)
    monkeypatch.delenv("COLUMNS", raising=False)
    if said is not None:
        monkeypatch.setenv("COLUMNS", said)
    assert columns() == shutil.get_terminal_size().columns


def test_without_a_standard_output_it_is_that_of_most_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.__stdout__", None)
    assert columns() == shutil.get_terminal_size().columns == 80
