"""`tiphys cache gc`: what nothing refers to goes, and nothing else, also beside a run of another process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tiphys.cli import main
from tiphys.errors import StoreError
from tiphys.reference import NotAFile, Reference, seal
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.gc import collect
from tiphys.reuse.limits import CacheLimits
from tiphys.reuse.uses import Lookup, note
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
    folder = store.new_run(name)
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


def begun(store: Store, name: str, at: float, *texts: str) -> None:
    """A run without a record: it goes on, or was killed."""
    store.note_beginning(name, at)
    with contextlib.closing(sqlite3.connect(store.run(name) / "journal.db")) as db, db:
        db.execute("CREATE TABLE events(seq INTEGER PRIMARY KEY, kind TEXT, body TEXT)")
        db.executemany("INSERT INTO events(kind, body) VALUES('PodFinished', ?)", ((text,) for text in texts))


def test_beside_a_run_what_is_older_and_unnamed_goes(store: Store) -> None:
    for name in ("models/nobody", "models/taken", "base/inner", "models/train-abc-1"):
        sealed(store, f"pvc://tiphys/{name}")
    taken = Reference("pvc://tiphys/models/taken", "sha256:1")
    spec = {"uri": "pvc://tiphys/models/{{inputs.parameters.key}}", "base": "pvc://tiphys/base"}
    begun(store, "goes-on", LONG_AGO + DAY, json.dumps({"value": str(taken)}), json.dumps(spec))
    with Entries(store) as known:
        note(known.file, Lookup("cache", "train-abc", "goes-on", "train", "train", LONG_AGO + 2 * DAY, False))
    expected = ["pvc://tiphys/models/nobody"]
    assert volumes(store, dry_run=True) == expected
    found = collect(store, CacheLimits())
    assert [uri for uri, _ in found.volumes] == expected
    assert "goes-on" in found.held_by, "the folder under its key may be what its step makes"
    store.run("goes-on").joinpath("workflow.json").write_text("{}")
    assert volumes(store) == [
        "pvc://tiphys/base/inner",
        *(f"pvc://tiphys/models/{n}" for n in ("taken", "train-abc-1")),
    ]


def test_beside_a_run_what_is_younger_than_it_stays(store: Store) -> None:
    sealed(store, "pvc://tiphys/models/nobody")
    begun(store, "killed", LONG_AGO - DAY)
    found = collect(store, CacheLimits(not_hit_for=DAY))
    assert found.volumes == ()
    assert "killed" in found.held_by


def test_what_is_asked_for_at_the_last_moment_comes_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed(store, "pvc://tiphys/models/train-abc")
    begun(store, "goes-on", time.time())
    rename = Path.rename

    def renamed(self: Path, target: Path) -> Path:
        if self.name == "train-abc":
            with Entries(store) as known:
                note(
                    known.file, Lookup("cache", "train-abc", "goes-on", "train", "train", time.time(), False)
                )
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", renamed)
    assert volumes(store) == []
    assert (store.volume("tiphys") / "models" / "train-abc" / "file").read_text() == "data"


def test_a_journal_that_cannot_be_read_is_no_reason_to_remove(store: Store) -> None:
    sealed(store, "pvc://tiphys/models/nobody")
    store.note_beginning("broken", time.time())
    (store.run("broken") / "journal.db").write_text("no database" * 100)
    with pytest.raises(StoreError) as caught:
        volumes(store)
    assert caught.value.code == "TIP451" and "tiphys delete broken" in caught.value.fix
    assert (store.volume("tiphys") / "models" / "nobody").is_dir()


def test_a_record_that_is_a_pipe_is_not_waited_for_and_no_reason_to_remove(store: Store) -> None:
    kept = sealed(store, "pvc://data/kept")
    ran(store, "earlier", kept)
    record = store.run("earlier") / "workflow.json"
    record.unlink()
    os.mkfifo(record)
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits"))
    signal.alarm(20)
    try:
        with pytest.raises(NotAFile):
            collect(store, CacheLimits())
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert (store.volume("data") / "kept" / "file").exists()


def test_artifacts_without_a_key_go_when_they_are_not_new(store: Store, tmp_path: Path) -> None:
    stored = {}
    for name in ("kept", "lost", "fresh"):
        (tmp_path / name).write_text(name)
        stored[name] = store.artifacts.put(tmp_path / name, "none")
    store.bucket.put("run/pod/kept.tgz", stored["kept"].digest, stored["kept"].size)
    for name in ("kept", "lost"):
        os.utime(store.artifacts.path(stored[name].digest), (LONG_AGO, LONG_AGO))
    begun(store, "goes-on", LONG_AGO)  # artifacts are safe beside runs
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


def state(store: Store, key: str, text: str) -> None:
    path = store.volume("tiphys") / ".tiphys" / "reuse" / f"{key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (LONG_AGO, LONG_AGO))


def test_what_a_guard_knows_goes_with_the_entry(store: Store) -> None:
    for key in ("train-a", "train-b", "train-c"):
        state(store, key, json.dumps({"version": 1, "generation": "0123456789ab"}))
    state(store, "train-d", "broken")
    state(store, "train-e", json.dumps({"version": 1, "generation": "0123456789ab"}))
    remember(store, "train-a-0123456789ab", Reference("pvc://tiphys/x"), hit=time.time())
    remember(store, "train-b-0123456789ab", Reference("pvc://tiphys/x"), hit=LONG_AGO)
    remember(store, "train-c-ba9876543210", Reference("pvc://tiphys/x"), hit=time.time())
    begun(store, "goes-on", LONG_AGO + DAY)
    with Entries(store) as known:
        note(known.file, Lookup("cache", "train-e-000", "goes-on", "t", "t", LONG_AGO + 2 * DAY, False))
    expected = [f"pvc://tiphys/.tiphys/reuse/train-{letter}.json" for letter in "bcd"]
    assert volumes(store, dry_run=True) == expected
    assert volumes(store) == expected
    assert sorted(path.stem for path in store.volume("tiphys").rglob("*.json")) == ["train-a", "train-e"]
    state(store, "train-f", json.dumps({"version": 1, "generation": "0123456789ab"}))
    os.utime(store.volume("tiphys") / ".tiphys" / "reuse" / "train-f.json")
    assert volumes(store) == []


def test_through_a_link_that_a_step_left_nothing_goes(store: Store, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("0" * 64, "train-a.json"):
        (mine / name).write_text("mine")
        os.utime(mine / name, (LONG_AGO, LONG_AGO))
    ours = store.volume("tiphys") / ".tiphys"
    ours.mkdir()
    (ours / "values").symlink_to(mine)
    (ours / "reuse").symlink_to(mine)
    (store.volume("other") / ".tiphys").symlink_to(ours)
    assert volumes(store) == []
    (ours / "values").unlink()
    (ours / "values").mkdir()
    for name, made in (("1" * 64, os.mkfifo), ("2" * 64, lambda path: os.symlink(mine / ("0" * 64), path))):
        made(ours / "values" / name)
        os.utime(ours / "values" / name, (LONG_AGO, LONG_AGO), follow_symlinks=False)
    assert volumes(store) == [f"pvc://tiphys/.tiphys/values/{digit * 64}" for digit in "12"]
    assert len(list(mine.iterdir())) == 2


def test_what_a_killed_step_had_not_finished_goes(store: Store) -> None:
    ours = store.volume("tiphys") / ".tiphys"
    names = ["reuse/.train-a.json.0badcafe", "values/." + "0" * 64 + ".0badcafe"]
    for name in names:
        (ours / name).parent.mkdir(parents=True)
        (ours / name).write_text("half")
    assert volumes(store) == []
    for name in names:
        os.utime(ours / name, (LONG_AGO, LONG_AGO))
    assert sorted(volumes(store)) == [f"pvc://tiphys/.tiphys/{name}" for name in names]
