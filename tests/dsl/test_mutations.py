"""Equal keys imply equal results, over generated changes of generated programs (benchmarks: many)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dsl.mutations import PER_PROGRAM, Judged, judge

pytestmark = pytest.mark.long

PROGRAMS = 340


def test_no_change_of_an_answer_keeps_its_key(tmp_path: Path) -> None:
    judged = Judged()
    judge(range(PROGRAMS), tmp_path, judged)
    assert judged.false_hits == []
    executed = sum(n for end, n in judged.counts.items() if not end.startswith("no program"))
    assert executed >= 2000 and executed <= PROGRAMS * PER_PROGRAM
    assert judged.counts["another answer, another key"] > executed / 3, judged.counts
    assert judged.counts["the same key, the same answer"] > 100, judged.counts
