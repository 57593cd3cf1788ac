"""Entries of memoized steps: many engines at once, a kill at any moment, no limit, stores of earlier versions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import execute, node, out, shell, value, workflow
from tiphys.errors import StoreError
from tiphys.reuse.entries import FILE, Entries
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.uses import Lookup, note
from tiphys.store import Store

LABEL = {"workflows.argoproj.io/configmap-type": "Cache"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def outputs(text: str) -> Any:
    return {"parameters": [{"name": "x", "value": text}]}


def entry(key: str, text: str = "v", *, cache: str = "cache", at: float = 1000.0) -> CachedResult:
    return CachedResult(cache, key, node="n", outputs=outputs(text), created=at, hit=at)


def start(program: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE, text=True)


WRITER = """
import sys
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.store import Store
with Entries(Store(sys.argv[1])) as entries:
    for i in range(int(sys.argv[3])):
        entries.save(CachedResult("cache", f"{sys.argv[2]}-{i}", node="n", outputs={"result": "r" * 5000}, created=1.0))
        print(i, flush=True)
"""


def test_an_entry_comes_back_as_it_was_written(store: Store) -> None:
    made = CachedResult(
        "cache", "k", node="n", outputs=outputs("ä<>&"), created=10.0, hit=11.0, run="r", template="t",
        max_age="1h", parts={"code": "c", "image": "i"}, size=3, data=4,
    )  # fmt: skip
    with Entries(store) as entries:
        entries.save(made)
        entries.save(entry("other"))
        assert entries.get("cache", "k") == made
        assert entries.get("cache", "K") is None
        assert entries.get("cache2", "k") is None
    with Entries(store) as again:
        assert list(again.all()) == [made, again.get("cache", "other")]
        assert list(again.all(prefix="k")) == [made]
        assert list(again.all("nosuch")) == []
        assert again.names() == ["cache"]
        assert again.remove("cache", "k") and not again.remove("cache", "k")


def test_pages_of_a_long_list_meet(store: Store) -> None:
    keys = sorted(f"k{number}" for number in range(2500))
    with Entries(store) as entries:
        entries.add(entry(key, cache=cache) for key in keys for cache in ("a", "b"))
        assert [(each.cache, each.key) for each in entries.all()] == [(c, k) for c in "ab" for k in keys]
        assert [each.key for each in entries.all("b", prefix="k1")] == [k for k in keys if k.startswith("k1")]
        assert entries.totals()[0] == 5000


def test_a_hit_writes_one_row_and_no_outputs(store: Store) -> None:
    with Entries(store) as entries:
        entries.save(entry("k", "x" * 3_000_000))
        with entries.file.reading() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        note(entries.file, Lookup("cache", "k", "r", "s", "t", 2000.0, hit=True))
        hit = entries.get("cache", "k")
        assert hit is not None
        assert (hit.hit, hit.hits, hit.created) == (2000.0, 1, 1000.0)
        assert (store.root / f"{FILE}-wal").stat().st_size < 100_000


def test_writing_anew_replaces_and_the_totals_follow(store: Store) -> None:
    with Entries(store) as entries:
        entries.save(entry("k", "x" * 100))
        entries.save(entry("k", "y"))
        entries.save(entry("l", "y"))
        found = entries.get("cache", "k")
        assert found is not None and found.outputs == outputs("y")
        size = len(json.dumps(outputs("y"), separators=(",", ":")))
        assert entries.totals() == (2, 2 * size)
        entries.remove("cache", "k")
        assert entries.totals() == (1, size)
        assert entries.file._db.execute("SELECT count(*) FROM contents").fetchone() == (1,)


def test_writers_in_several_processes_lose_nothing(store: Store) -> None:
    running = [start(WRITER, str(store.root), str(index), "40") for index in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    for process in running:
        process.communicate()
    with Entries(store) as entries:
        assert entries.totals()[0] == len(list(entries.all())) == 160


def test_what_a_killed_writer_had_written_is_there(store: Store) -> None:
    for turn in range(5):
        with start(WRITER, str(store.root), str(turn), "100000") as process:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(7 * (turn + 1))]
            os.kill(process.pid, signal.SIGKILL)
            told += process.stdout.readlines()
        done = len([line for line in told if line.endswith("\n")])
        with Entries(store) as entries:
            kept = [each.key for each in entries.all(prefix=f"{turn}-")]
            assert entries.totals()[0] == len(list(entries.all()))
        assert done <= len(kept) <= done + 1
        assert all(f"{turn}-{number}" in kept for number in range(done))


def test_caches_of_an_earlier_version_are_the_first_state(store: Store) -> None:
    folder = store.root / "configmaps"
    folder.mkdir(parents=True)
    text = json.dumps(
        {
            "nodeID": "old",
            "outputs": outputs("before"),
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "lastHitTimestamp": "2026-02-02T03:04:05Z",
        }
    )
    data = {"k": text, "bad": "no json"}
    (folder / "cache.json").write_text(
        json.dumps({"kind": "ConfigMap", "metadata": {"name": "cache", "labels": LABEL}, "data": data})
    )
    (folder / "limits.json").write_text('{"kind": "ConfigMap", "metadata": {"name": "limits"}, "data": {}}')
    (folder / "torn.json").write_text('{"kind": "Confi')
    with Entries(store) as entries:
        found = entries.get("cache", "k")
        assert found is not None
        assert found.argo() == json.loads(text)
        bad = entries.get("cache", "bad")
        assert bad is not None
        with pytest.raises(StoreError, match="malformed cache entry"):
            bad.argo()
        with pytest.raises(StoreError, match="refusing to use it"):
            entries.get("limits", "k")
        with pytest.raises(StoreError, match="cannot be read"):
            entries.get("torn", "k")
    assert sorted(path.name for path in folder.iterdir()) == ["limits.json", "torn.json"]
    with Entries(store) as again:
        assert len(list(again.all())) == 2


def memoized(tmp_path: Path) -> Any:
    template = shell("main", 'mkdir -p /tmp/out; echo x >> "$HERE/count"; echo made > /tmp/out/x')
    template["container"]["env"] = [{"name": "HERE", "value": str(tmp_path)}]
    memo = {"key": "k", "cache": {"configMap": {"name": "cache"}}}
    return workflow({**template, "memoize": memo, "outputs": out("x")})


def test_a_given_configmap_is_the_first_state_of_its_cache(tmp_path: Path) -> None:
    known = {"nodeID": "old", "outputs": outputs("given"), "creationTimestamp": "2026-01-02T03:04:05Z"}
    given = {
        "kind": "ConfigMap",
        "metadata": {"name": "cache", "labels": LABEL},
        "data": {"k": json.dumps(known)},
    }
    result = execute(tmp_path, memoized(tmp_path), context=[given])
    assert node(result, result.name)["memoizationStatus"]["hit"] is True
    assert value(result, result.name, "x") == "given"
    with Entries(Store(tmp_path / "store")) as entries:
        entries.save(entry("k", "of the store"))
    result = execute(tmp_path, memoized(tmp_path), context=[given])
    assert value(result, result.name, "x") == "of the store"
    assert not (tmp_path / "count").exists()
