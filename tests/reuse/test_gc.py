"""`tiphys cache gc`: what nothing refers to goes, and nothing else, also beside a run of another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tiphys.cli import main
from tiphys.reference import Reference, seal
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.gc import collect
from tiphys.reuse.limits import CacheLimits
from tiphys.store import Store

DAY = 86400.0
LONG_AGO = time.time() - 30 * DAY


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def sealed(store: Store, uri: str, text: str = "data") -> Reference:
    """A folder as a step publishes it, long ago."""
    claim, _, path = uri.removeprefix("pvc://").partition("/")
    folder = store.volume(claim) / path
    folder.mkdir(parents=True)
    (folder / "file").write_text(text)
    reference = Reference(uri, seal(folder))
    for file in folder.iterdir():
        os.utime(file, (LONG_AGO, LONG_AGO))
    return reference


def ran(store: Store, name: str, *made: Reference, complete: bool = True) -> None:
    outputs = {"parameters": [{"name": "out", "value": str(reference)} for reference in made]}
    workflow = {
        "metadata": {"name": name},
        "status": {"phase": "Succeeded", "nodes": {"a": {"outputs": outputs}}},
    }
    folder = store.run(name)
    if complete:
        (folder / "workflow.json").write_text(json.dumps(workflow))


def remember(store: Store, key: str, made: Reference, *, hit: float) -> None:
    with Entries(store) as entries:
        entries.save(
            CachedResult(
                "cache",
                key,
                node="n",
                outputs={"parameters": [{"name": "out", "value": str(made)}]},
                created=hit,
                hit=hit,
            )
        )


def caches(store: Store) -> list[str]:
    with Entries(store) as entries:
        return [*entries.names(), *sorted(entries.refused)]


def volumes(store: Store, **settings: bool) -> list[str]:
    return [uri for uri, _ in collect(store, CacheLimits(not_hit_for=14 * DAY), **settings).volumes]


def test_sealed_folders_that_no_record_and_no_entry_names(store: Store) -> None:
    sealed(store, "pvc://tiphys/models/nobody")
    ran(store, "run-1", sealed(store, "pvc://tiphys/models/recorded"))
    remember(store, "new", sealed(store, "pvc://tiphys/data/cached"), hit=time.time())
    remember(store, "old", sealed(store, "pvc://tiphys/data/forgotten"), hit=LONG_AGO)
    expected = ["pvc://tiphys/data/forgotten", "pvc://tiphys/models/nobody"]
    assert volumes(store, dry_run=True) == expected
    assert volumes(store) == expected
    assert sorted(path.parent.name for path in store.volume("tiphys").glob("*/*/file")) == [
        "cached",
        "recorded",
    ]
    with Entries(store) as entries:
        assert entries.get("cache", "old") is None
    assert volumes(store) == []


def test_what_is_new_or_not_sealed_stays(store: Store) -> None:
    folder = store.volume("tiphys") / "models" / "new"
    folder.mkdir(parents=True)
    (folder / "file").touch()
    seal(folder)
    (store.volume("tiphys") / "work" / "backup").mkdir(parents=True)
    (store.volume("mine") / "notes").mkdir()
    assert volumes(store) == []


def test_the_claim_that_a_workflow_made_for_itself_goes_with_its_record(store: Store) -> None:
    for claim in ("build-x7k2p-scratch", "build-bcdfg-scratch", "my-data-set-of-photos"):
        (store.volume(claim) / "file").write_text("12345")
    ran(store, "build-x7k2p")
    assert collect(store, CacheLimits(not_hit_for=DAY)).volumes == (("pvc://build-bcdfg-scratch", 5),)
    assert sorted(store.volumes()) == ["build-x7k2p-scratch", "my-data-set-of-photos"]


def test_volumes_are_left_alone_while_a_run_can_be_resumed(store: Store) -> None:
    sealed(store, "pvc://tiphys/models/nobody")
    ran(store, "killed", complete=False)
    found = collect(store, CacheLimits(not_hit_for=DAY))
    assert found.volumes == ()
    assert "killed" in found.held_by


def test_volumes_are_left_alone_while_a_run_goes_on_in_another_process(store: Store) -> None:
    sealed(store, "pvc://tiphys/models/nobody")
    program = (
        "import sys; from tiphys.store import Store\n"
        "with Store(sys.argv[1]).in_use(): print('in', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(store.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        assert collect(store, CacheLimits(not_hit_for=DAY)).held_by == "a run goes on"
        other.communicate(timeout=30)
    assert volumes(store) == ["pvc://tiphys/models/nobody"]


def test_artifacts_without_a_key_go_when_they_are_not_new(store: Store, tmp_path: Path) -> None:
    stored = {}
    for name in ("kept", "lost", "fresh"):
        (tmp_path / name).write_text(name)
        stored[name] = store.artifacts.put(tmp_path / name, "none")
    store.bucket.put("run/pod/kept.tgz", stored["kept"].digest, stored["kept"].size)
    for name in ("kept", "lost"):
        os.utime(store.artifacts.path(stored[name].digest), (LONG_AGO, LONG_AGO))
    with store.in_use():  # artifacts are safe beside runs
        assert collect(store, CacheLimits(not_hit_for=DAY)).artifacts == (stored["lost"],)
    # storing the same bytes once more makes them new: its key is about to be written
    os.utime(store.artifacts.path(stored["fresh"].digest), (LONG_AGO, LONG_AGO))
    store.artifacts.put(tmp_path / "fresh", "none")
    assert collect(store, CacheLimits(not_hit_for=DAY)).artifacts == ()


def put(store: Store, name: str, data: dict[str, str], *, label: str = "Cache") -> None:
    """A ConfigMap that somebody else wrote."""
    labels = {"workflows.argoproj.io/configmap-type": label} if label else {}
    folder = store.root / "configmaps"
    folder.mkdir(parents=True)
    config = {"metadata": {"name": name, "labels": labels}, "data": data}
    (folder / f"{name}.json").write_text(json.dumps(config))


ENTRY = {"nodeID": "n", "outputs": None, "creationTimestamp": "2020-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (json.dumps(ENTRY), "does not say when it was last used"),
        (json.dumps({**ENTRY, "lastHitTimestamp": None}), "does not say when it was last used"),
        (json.dumps({**ENTRY, "lastHitTimestamp": "yesterday"}), "malformed cache entry"),
        (json.dumps({**ENTRY, "lastHitTimestamp": 7}), "malformed cache entry"),
        (
            json.dumps({**ENTRY, "lastHitTimestamp": "2020-01-01T00:00:00Z", "outputs": "x"}),
            "malformed cache entry",
        ),
        ("text", "malformed cache entry"),
        ("[]", "malformed cache entry"),
    ],
)
def test_an_entry_whose_age_nobody_knows_stays_and_is_told(
    store: Store, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    put(store, "theirs", {"k": text})
    remember(store, "old", Reference("pvc://tiphys/data/old"), hit=LONG_AGO)
    words = ["--store", str(store.root)]
    assert main(["cache", "gc", "--json", "--dry-run", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["entries"] == [{"cache": "cache", "key": "old"}]
    assert [(item["cache"], item["key"]) for item in found["kept"]] == [("theirs", "k")]
    assert why in found["kept"][0]["why"]
    assert main(["cache", "gc", *words]) == 0
    assert "theirs/k stays: " in (out := capsys.readouterr().out) and why in out
    assert caches(store) == ["theirs"]
    for verb in (["ls"], ["explain", "k"]):
        assert main(["cache", *verb, *words]) == 0
        assert (why in capsys.readouterr().out) == why.startswith("malformed")


@pytest.mark.parametrize("data", [{"k": "2"}, {}])
def test_a_configmap_that_is_no_cache_stays_and_is_told(
    store: Store, capsys: pytest.CaptureFixture[str], data: dict[str, str]
) -> None:
    put(store, "limits", data, label="")
    assert main(["cache", "gc", "--store", str(store.root)]) == 0
    assert "limits stays: " in capsys.readouterr().out
    assert caches(store) == ["limits"]


def test_an_empty_store_has_no_garbage(store: Store) -> None:
    found = collect(store, CacheLimits(not_hit_for=DAY))
    assert (found.entries, found.artifacts, found.volumes, found.size) == ((), (), (), 0)
