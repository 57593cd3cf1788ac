"""Every reader of the house, attacked with the same inputs each time, the corpus first (tests/fuzz/corpus: what once
failed). Each answer is a value or a known error, none takes ten seconds of processor time, and nothing grows.

``benchmarks/fuzz.py`` does the same with as many inputs as it is given.
"""

from __future__ import annotations

import pytest

from tests.fuzz.drive import attack
from tests.fuzz.targets import TARGETS
from tests.fuzz.watch import CORPUS, file_of

pytestmark = pytest.mark.long

GROWTH = 64.0  # megabytes between the first inputs and the last: caches of programs and tags fill


@pytest.mark.parametrize("name", TARGETS)
def test_each_answer_is_a_value_or_a_known_error(name: str) -> None:
    report = attack(name, TARGETS[name].inputs)
    assert not report.findings, report.told()
    assert report.inputs >= TARGETS[name].inputs
    assert report.growth_mb < GROWTH
    assert len(report.ends) > 1 or name in ONE, "all inputs end alike: they do not reach what is attacked"


ONE = {"gjson", "cron", "fix", "lint", "lint, objects", "YAML", "manifest", "pools", "progress"}


def test_every_entry_of_the_corpus_belongs_to_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= {file_of(name).name for name in TARGETS}
