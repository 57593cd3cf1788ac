"""benchmarks/guard.py is red when a ratio has fallen by more than a quarter, and only then."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import guard

PEER = "run something, beside a peer"


def costing(*ours: float, peer: float = 10.0) -> guard.Measure:
    """A measure of which each opening has another cost of ours, and the last one ever after."""
    left = list(ours)

    def opened() -> Iterator[guard.Round | None]:
        cost = left.pop(0) if len(left) > 1 else left[0]
        yield lambda: (cost, peer)

    return opened


def missing() -> Iterator[guard.Round | None]:
    yield None


def recorded(folder: Path) -> list[str]:
    """The words that name a file in which these were recorded."""
    file = folder / "guard.json"
    assert guard.main(["--record", "--file", str(file)], {PEER: costing(5.0)}) == 0
    return ["--file", str(file)]


def test_what_is_as_it_was_passes(tmp_path: Path) -> None:
    words = recorded(tmp_path)
    assert guard.main(words, {PEER: costing(5.0)}) == 0
    assert guard.main(words, {PEER: costing(6.6)}) == 0  # a ratio of 1.52 beside 2
    assert guard.main(words, {PEER: costing(1.0)}) == 0


def test_what_has_become_slower_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = recorded(tmp_path)
    assert guard.main(words, {PEER: costing(6.8), "another": costing(1.0)}) == 1
    assert capsys.readouterr().err == f"fallen by more than a quarter: {PEER}: recorded 2.00, seen 1.47\n"


def test_a_peer_that_has_become_faster_counts_the_same(tmp_path: Path) -> None:
    assert guard.main(recorded(tmp_path), {PEER: costing(5.0, peer=7.0)}) == 1


def test_it_is_measured_once_more_before_it_is_red(tmp_path: Path) -> None:
    words = recorded(tmp_path)
    assert guard.main(words, {PEER: costing(9.0, 5.0)}) == 0
    assert guard.main(words, {PEER: costing(9.0, 9.0, 5.0)}) == 1


def test_one_round_that_was_disturbed_is_no_verdict(tmp_path: Path) -> None:
    costs = iter([5.0, 5.0, 50.0, 5.0, 50.0, 5.0, *[50.0] * 100])

    def opened() -> Iterator[guard.Round | None]:
        yield lambda: (next(costs), 10.0)

    assert guard.main(recorded(tmp_path), {PEER: opened}) == 0


def test_what_is_not_here_or_was_not_recorded_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = recorded(tmp_path)
    assert guard.main(words, {PEER: missing, "new": costing(100.0)}) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [f"{PEER}: not here", "new: not recorded"]


def test_the_real_measures_see_a_ratio_that_was_raised(tmp_path: Path) -> None:
    """Compiling: the others take longer, and need more."""
    name = "compile a Pipeline, beside Hera"
    measures = {name: guard.MEASURES[name]}
    file = tmp_path / "guard.json"
    for factor, code in ((100.0, 1), (0.01, 0)):
        was = json.loads(guard.RECORDED.read_text(encoding="utf-8"))["ratios"][name]
        file.write_text(json.dumps({"ratios": {name: was * factor}}), encoding="utf-8")
        assert guard.main(["--file", str(file)], measures) == code


def test_all_that_is_measured_was_recorded() -> None:
    """`python benchmarks/guard.py --record`, where `argo` and Argo's cases are."""
    found = json.loads(guard.RECORDED.read_text(encoding="utf-8"))
    assert found["ratios"].keys() == guard.MEASURES.keys()
    assert all(found[name] for name in ("machine", "date", "commit"))


def test_ci_runs_it_within_its_limit() -> None:
    root = Path(guard.__file__).parents[1]
    line = re.search(
        r"^part locked-ratios (\d+) make ratios ", (root / ".ci" / "run").read_text(), re.MULTILINE
    )
    assert line and int(line[1]) <= 300
    assert "benchmarks/guard.py" in (root / "Makefile").read_text(encoding="utf-8")
