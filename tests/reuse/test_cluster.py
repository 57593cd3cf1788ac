"""Limits over the ConfigMaps of a cluster are those of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tiphys.reuse.cluster import beyond
from tiphys.reuse.configmaps import configmaps, entries_in
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult, text_of
from tiphys.reuse.limits import CacheLimits, sweep
from tiphys.store import Store

NOW = 1_700_000_000.0
DAY = 86400.0


def given() -> list[Any]:
    """Two caches of five entries; entry i was made 2i days ago and used i days ago."""
    made = [
        CachedResult(f"cache-{i % 2}", f"k{i}", node="n", created=NOW - 2 * i * DAY, hit=NOW - i * DAY)
        for i in range(10)
    ]
    return [
        config
        for name in ("cache-0", "cache-1")
        for config in configmaps(name, [entry for entry in made if entry.cache == name])[0]
    ]


def weight(number: int) -> int:
    return sum(
        len(entry.key) + len(text_of(entry))
        for config in given()
        for entry in entries_in(config)
        if int(entry.key[1:]) < number
    )


@pytest.mark.parametrize(
    "limits",
    [
        CacheLimits(),
        CacheLimits(not_hit_for=4.5 * DAY),
        CacheLimits(older_than=4.5 * DAY),
        CacheLimits(older_than=100 * DAY, not_hit_for=4.5 * DAY, max_entries=9),
        CacheLimits(max_entries=3),
        CacheLimits(max_entries=0),
        CacheLimits(not_hit_for=0.0, older_than=0.0),
    ],
)
def test_as_in_a_store(tmp_path: Path, limits: CacheLimits) -> None:
    with Entries(Store(tmp_path)) as known:
        for config in given():
            known.add(entries_in(config))
        gone: list[tuple[str, str]] = []
        sweep(known, limits, NOW, gone=lambda *each: gone.append(each))
    found = beyond(given(), limits, NOW)
    assert sorted(found.entries) == sorted(gone) and found.kept == ()


@pytest.mark.parametrize("number", range(1, 11))
def test_bytes_are_those_of_keys_and_texts(number: int) -> None:
    found = beyond(given(), CacheLimits(max_bytes=weight(number)), NOW)
    assert sorted(key for _, key in found.entries) == [f"k{i}" for i in range(number, 10)]


def test_what_nobody_knows_the_age_of_stays_and_is_told() -> None:
    labels = {"workflows.argoproj.io/configmap-type": "Cache"}
    maps: list[Any] = [
        {"metadata": {"name": "theirs", "labels": labels}, "data": {"a": "no json", "b": '{"nodeID":"n"}'}},
        {"metadata": {"name": "limits"}, "data": {"gang": "2"}},
    ]
    found = beyond(maps, CacheLimits(0.0, 0.0, 0, 0), NOW)
    assert found.entries == ()
    assert [(each.cache, each.key) for each in found.kept] == [
        ("theirs", "a"),
        ("theirs", "b"),
        ("limits", ""),
    ]
