"""Candidates and matrices, drawn."""

from __future__ import annotations

from tests.records.test_candidates import model, run
from tiphys.pages.models import candidates, confusions
from tiphys.records.candidates import judged


def test_the_bar_is_drawn() -> None:
    found = run({"r": model("a", 0.5)}, {"r": model("b", 0.95)}, **{"min-accuracy": "0.9"})
    text = candidates(found, judged(found))
    assert text.count('class="ok"') == 1 and text.count('class="bad"') == 1 and text.count("<u ") == 2
    assert "left:90.00%" in text and "width:95.00%" in text
    assert candidates(run(), []) == ""


def test_matrices_and_how_many_are_left_out() -> None:
    reports = [{"r": model(f"m{place}", 0.5, confusion=[[1, 2], [0, 4]])} for place in range(8)]
    drawn, left = confusions(judged(run(*reports)))
    assert (len(drawn), left) == (6, 2)
    assert drawn[0].count("<td") == 4 and "rgba(var(--heat),0.600)" in drawn[0]
