"""Workflows that stay in memory."""

from __future__ import annotations

from typing import Any

from tiphys.runs.local.stamps import RunStamp
from tiphys.server.recent import RecentRuns


def at(changed: int, size: int = 10, *, ended: bool = True) -> RunStamp:
    return RunStamp(f"{changed}.{size}.7", 0.0, ended=ended)


def workflow(name: str) -> Any:
    return {"metadata": {"name": name}}


def test_only_the_very_end_is_known() -> None:
    kept = RecentRuns()
    kept.put("a", at(1), workflow("a"))
    assert kept.get("a", at(1)) == workflow("a")
    assert kept.get("a", at(2)) is None
    assert kept.get("b", at(1)) is None
    kept.put("c", at(1, ended=False), workflow("c"))
    assert kept.get("c", at(1, ended=False)) is None


def test_the_files_are_together_no_larger_than_they_may_be() -> None:
    kept = RecentRuns(most=30)
    for name in "abc":
        kept.put(name, at(1), workflow(name))
    assert kept.get("a", at(1)) is not None  # so b was asked for before the others
    kept.put("d", at(1), workflow("d"))
    assert [name for name in "abcd" if kept.get(name, at(1))] == ["a", "c", "d"]
    kept.put("a", at(2, 20), workflow("a"))
    assert [name for name in "acd" if kept.get(name, at(1)) or kept.get(name, at(2, 20))] == ["a", "d"]
    kept.put("e", at(1, 31), workflow("e"))
    assert kept.get("e", at(1, 31)) is None
