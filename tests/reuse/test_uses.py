"""The last lookups are kept, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiphys.reuse import uses as module
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.uses import Lookup, note, uses
from tiphys.store import Store


def use(number: int, *, hit: bool = True, key: str = "k", run: str = "r") -> Lookup:
    return Lookup("cache", key, run, "step", "t", float(number), hit, "", {"code": str(number)})


def test_the_newest_come_first(tmp_path: Path) -> None:
    with Entries(Store(tmp_path)) as entries:
        made = [use(1), use(2, hit=False, key="l"), use(3, run="s")]
        for each in made:
            note(entries.file, each)
        assert uses(entries.file) == made[::-1]
        assert uses(entries.file, run="s") == [made[2]]


def test_hits_are_counted_for_ever_and_lookups_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 10)
    with Entries(Store(tmp_path)) as entries:
        entries.save(CachedResult("cache", "k", node="n"))
        for number in range(25):
            note(entries.file, use(number, hit=number % 5 != 0))
        assert [each.at for each in uses(entries.file)] == [float(number) for number in range(24, 14, -1)]
        found = entries.get("cache", "k")
        assert found is not None and (found.hits, found.hit) == (20, 24.0)
