"""What a store's caches may keep: by age, last hit, bytes and number; safe beside running engines."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import dag, execute, out, shell, wait_until, workflow
from tiphys.cli import main
from tiphys.engine import RunResult
from tiphys.reference import Reference, seal
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.gc import collect
from tiphys.reuse.limits import DEFAULT, FRESH, CacheLimits, automatic, limits_of, set_limits, sweep
from tiphys.reuse.uses import Lookup, note
from tiphys.store import Store

NOW = 1_000_000.0
DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def fill(known: Entries, number: int = 10, *, size: int = 100) -> None:
    """Entry i was made 2i days ago and used i days ago."""
    for i in range(number):
        made = CachedResult(
            "cache", f"k{i}", node="n", created=NOW - 2 * i * DAY, hit=NOW - i * DAY, size=size, data=size
        )
        known.save(made)


def left(known: Entries) -> list[int]:
    return [int(each.key[1:]) for each in known.all()]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (CacheLimits(), range(10)),
        (CacheLimits(not_hit_for=4.5 * DAY), range(5)),
        (CacheLimits(older_than=4.5 * DAY), range(3)),
        (CacheLimits(older_than=100 * DAY, not_hit_for=4.5 * DAY, max_entries=9), range(5)),
        (CacheLimits(max_entries=3), range(3)),
        (CacheLimits(max_bytes=700), range(3)),
        (CacheLimits(max_bytes=600), range(3)),
        (CacheLimits(max_bytes=1000, max_entries=9), range(5)),
        (CacheLimits(max_entries=0), range(1)),  # what was used a moment ago stays
        (CacheLimits(not_hit_for=0, older_than=0, max_bytes=0), range(1)),
    ],
)
def test_each_limit(store: Store, limits: CacheLimits, expected: range) -> None:
    with Entries(store) as known:
        fill(known)
        told: list[tuple[str, str]] = []
        count = sweep(known, limits, NOW, dry_run=True, gone=lambda *each: told.append(each))
        assert left(known) == list(range(10))
        would = sorted(set(range(10)) - set(expected))
        assert sorted(int(key[1:]) for _, key in told) == would and count == len(would)
        done: list[tuple[str, str]] = []
        assert sweep(known, limits, NOW, gone=lambda *each: done.append(each)) == count
        assert sorted(done) == sorted(told)
        assert left(known) == list(expected)
        assert known.totals() == (len(expected), 200 * len(expected))


def test_what_nobody_knows_the_age_of_stays(store: Store) -> None:
    with Entries(store) as known:
        known.save(CachedResult("cache", "k1", node="n"))
        known.save(CachedResult("cache", "k2", broken="{"))
        assert sweep(known, CacheLimits(0.0, 0.0, 0, 0), NOW) == 0


def test_many_batches(store: Store) -> None:
    with Entries(store) as known:
        known.add(CachedResult("cache", f"k{i}", node="n", created=1.0, hit=float(i)) for i in range(5000))
        assert sweep(known, CacheLimits(max_entries=1234), NOW) == 5000 - 1234
        assert sorted(left(known)) == list(range(5000 - 1234, 5000))


def test_the_room_of_removed_entries_goes_back_to_the_disk(store: Store) -> None:
    outputs: Any = {"result": "x" * 2000}
    with Entries(store) as known:
        known.add(
            CachedResult("cache", f"k{i}", node="n", outputs=outputs, created=1.0, hit=1.0)
            for i in range(15_000)
        )
    before = (store.root / "cache.db").stat().st_size
    assert before > 30_000_000
    collect(store, CacheLimits(max_entries=0))
    assert (store.root / "cache.db").stat().st_size < before / 5


def test_an_entry_that_was_just_hit_stays(store: Store) -> None:
    with Entries(store) as known:
        fill(known)
        note(known.file, Lookup("cache", "k9", "r", "s", "t", NOW - FRESH / 2, hit=True))
        sweep(known, CacheLimits(not_hit_for=1.0), NOW)
        assert left(known) == [0, 9]


def test_the_store_remembers_its_limits(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with Entries(store) as known:
        assert limits_of(known) == DEFAULT
        set_limits(known, CacheLimits(max_bytes=5))
        assert limits_of(known) == CacheLimits(max_bytes=5)
    words = ["cache", "limits", "--store", str(store.root), "--json"]
    assert main([*words, "--not-hit-for", "2d", "--max-bytes", "1.5GB", "--max-entries", "7"]) == 0
    assert main([*words, "--max-entries", "none", "--max-bytes", "2KiB"]) == 2
    assert main([*words, "--max-entries", "none", "--max-bytes", "2kiB"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text[text.rindex("{") :]) == {
        "older_than": None,
        "not_hit_for": 2 * DAY,
        "max_bytes": 2048,
        "max_entries": None,
        "entries": 0,
        "bytes": 0,
    }


@pytest.mark.parametrize(
    "words",
    [("--max-bytes", "many"), ("--max-entries", "-1"), ("--older-than", "soon"), ("--not-hit-for", "")],
)
def test_a_limit_that_is_none_is_refused(
    store: Store, words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("gc", "limits"):
        assert main(["cache", verb, *words, "--store", str(store.root)]) == 2
        assert "fix:" in capsys.readouterr().err


def test_a_store_keeps_its_limits_by_itself(store: Store) -> None:
    with Entries(store) as known:
        set_limits(known, CacheLimits(max_entries=10))
        fill(known)
        assert automatic(store, known, NOW) == 0
        known.save(CachedResult("cache", "k99", node="n", created=NOW, hit=NOW))
        assert automatic(store, known, NOW) == 2  # down to 90 %
        assert left(known) == [*range(8), 99]


def test_ages_are_looked_at_once_an_hour(store: Store) -> None:
    with Entries(store) as known:
        set_limits(known, CacheLimits(not_hit_for=5.5 * DAY))
        fill(known)
        assert automatic(store, known, NOW) == 4
        assert automatic(store, known, NOW + DAY) == 1
        assert automatic(store, known, NOW + DAY + 1000) == 0
        assert automatic(store, known, NOW + 2 * DAY) == 1


def test_a_run_keeps_the_limits_of_its_store(tmp_path: Path, store: Store) -> None:
    template = shell("main", "mkdir -p /tmp/out; echo x > /tmp/out/x", outputs=out("x"))
    template["memoize"] = {"key": "k-{{workflow.parameters.n}}", "cache": {"configMap": {"name": "cache"}}}
    flow = workflow(template, arguments={"parameters": [{"name": "n"}]})
    with Entries(store) as known:
        fill(known)
        set_limits(known, CacheLimits(max_entries=10))
    assert execute(tmp_path, flow, parameters={"n": "1"}).succeeded
    with Entries(store) as known:
        assert known.totals()[0] == 9
        assert known.get("cache", "k-1") is not None


def test_the_size_of_what_outputs_point_to_counts(tmp_path: Path, store: Store) -> None:
    folder = store.volume("data") / "set"
    folder.mkdir()
    (folder / "shard").write_bytes(b"x" * 12_345)
    line = "mkdir -p /tmp/out; printf '%s' \"$REF\" > /tmp/out/x; head -c 1000 /dev/zero > /tmp/out/a"
    template = shell("main", line)
    template["container"]["env"] = [{"name": "REF", "value": str(Reference("pvc://data/set", seal(folder)))}]
    artifact = {"name": "a", "path": "/tmp/out/a", "archive": {"none": {}}}
    template["outputs"] = {**out("x"), "artifacts": [artifact]}
    template["memoize"] = {"key": "k", "cache": {"configMap": {"name": "cache"}}}
    assert execute(tmp_path, workflow(template)).succeeded
    with Entries(store) as known:
        entry = known.get("cache", "k")
    assert entry is not None and entry.data == 12_345 + 1000


def kept(store: Store, key: str, bucket_key: str, *, hit: float) -> None:
    outputs: Any = {"artifacts": [{"name": "a", "s3": {"key": bucket_key}}]}
    with Entries(store) as known:
        known.save(CachedResult("cache", key, node="n", outputs=outputs, created=hit, hit=hit))


def test_artifacts_that_only_removed_entries_named_go(store: Store, tmp_path: Path) -> None:
    now = time.time()
    digests = {}
    for name in ("gone", "shared", "recorded", "foreign"):
        (tmp_path / name).write_text(name)
        stored = store.artifacts.put(tmp_path / name, "none")
        os.utime(store.artifacts.path(stored.digest), (1, 1))
        store.bucket.put(f"r/{name}", stored.digest, stored.size)
        digests[name] = stored.digest
    kept(store, "old", "r/gone", hit=1000.0)
    kept(store, "old2", "r/shared", hit=1000.0)
    kept(store, "old3", "r/recorded", hit=1000.0)
    kept(store, "new", "r/shared", hit=now)
    (store.new_run("run") / "workflow.json").write_text(json.dumps({"status": {"key": "r/recorded"}}))
    limits = CacheLimits(not_hit_for=DAY)
    journal = store.new_run("goes-on") / "journal.db"  # it has taken a hit that names one
    with contextlib.closing(sqlite3.connect(journal)) as db, db:
        db.execute("CREATE TABLE events(body TEXT)")
        db.execute("INSERT INTO events VALUES(?)", (json.dumps({"s3": {"key": "r/gone"}}),))
    found = collect(store, limits, dry_run=True)
    assert (len(found.entries), found.artifacts) == (3, ())
    found = collect(store, limits)
    assert (len(found.entries), found.artifacts) == (3, ())
    journal.unlink()
    would = collect(store, limits, dry_run=True)
    assert [each.digest for each in would.artifacts] == [digests["gone"]]
    done = collect(store, limits)  # what was put off is not forgotten
    assert done.entries == () and [each.digest for each in done.artifacts] == [digests["gone"]]
    assert store.bucket.keys() == ["r/foreign", "r/recorded", "r/shared"]
    assert collect(store, limits).artifacts == ()


def test_what_a_running_engine_took_is_not_pulled_away(tmp_path: Path, store: Store) -> None:
    """The hit's entry goes, its folder stays for the step that reads it."""
    folder = store.volume("data") / "set"
    folder.mkdir()
    (folder / "shard").write_text("content")
    reference = str(Reference("pvc://data/set", seal(folder)))
    os.utime(folder / "manifest.json", (1, 1))
    made = shell("made", "mkdir -p /tmp/out; printf '%s' \"$REF\" > /tmp/out/x", outputs=out("x"))
    made["container"]["env"] = [{"name": "REF", "value": reference}]
    made["memoize"] = {"key": "k", "cache": {"configMap": {"name": "cache"}}}
    read = shell("read", 'touch "$HERE/reads"; while ! test -e "$HERE/go"; do sleep 0.05; done; cat "$SHARD"')
    read["container"]["env"] = [
        {"name": "HERE", "value": str(tmp_path)},
        {"name": "SHARD", "value": str(folder / "shard")},
    ]
    flow = workflow(
        dag({"name": "m", "template": "made"}, {"name": "r", "template": "read", "depends": "m"}), made, read
    )
    outputs: Any = {"parameters": [{"name": "x", "value": reference}]}
    with Entries(store) as known:
        known.save(CachedResult("cache", "k", node="n", outputs=outputs, created=1.0, hit=1.0))
    results: list[RunResult] = []
    thread = threading.Thread(target=lambda: results.append(execute(tmp_path, flow)))
    thread.start()
    wait_until((tmp_path / "reads").exists)
    found = collect(store, CacheLimits(max_entries=0), now=time.time() + DAY)
    assert found.entries == (("cache", "k"),) and found.volumes == ()
    (tmp_path / "go").touch()
    thread.join()
    assert results[0].succeeded
    assert collect(store, CacheLimits(max_entries=0)).volumes == ()  # the record names it


def test_what_several_entries_hold_counts_once(store: Store) -> None:
    def held(i: int) -> dict[str, int]:
        return {"pvc://c/all": 1000, f"pvc://c/pair-{i // 2}": 100}

    with Entries(store) as known:
        for i in range(6):
            known.save(
                CachedResult(
                    "cache",
                    f"k{i}",
                    node="n",
                    created=NOW,
                    hit=NOW - i * DAY,
                    size=1,
                    data=1100,
                    held=held(i),
                )
            )
        assert known.totals() == (6, 6 + 1000 + 300)
        known.save(
            CachedResult("cache", "k0", node="n", created=NOW, hit=NOW, size=1, data=1100, held=held(0))
        )
        assert known.totals() == (6, 6 + 1000 + 300)
        limits = CacheLimits(max_bytes=1250)  # one of a pair frees nothing but its own byte
        assert sweep(known, limits, NOW, dry_run=True) == 2
        assert sweep(known, limits, NOW) == 2
        assert (left(known), known.totals()) == ([0, 1, 2, 3], (4, 4 + 1000 + 200))
        assert sweep(known, CacheLimits(not_hit_for=2.5 * DAY, max_bytes=1200), NOW, dry_run=True) == 2
        assert sweep(known, CacheLimits(not_hit_for=2.5 * DAY, max_bytes=1200), NOW) == 2
        assert (left(known), known.totals()) == ([0, 1], (2, 2 + 1000 + 100))
        for key in ("k0", "k1"):
            assert known.remove("cache", key)
        assert known.totals() == (0, 0)
