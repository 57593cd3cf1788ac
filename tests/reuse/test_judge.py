"""Which earlier result may be taken: the engine and the commands that list caches ask one judge."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import Recorder, execute, shell, workflow
from tiphys.cli import main
from tiphys.engine import CacheChecked
from tiphys.reference import MANIFEST, Reference, seal
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.judge import Judge, entries, held_by
from tiphys.store import Store

Json = Any


def memoized(tmp_path: Path) -> Json:
    """A memoized step with an artifact, and a reference below a JSON value."""
    folder = tmp_path / "sealed"
    folder.mkdir(exist_ok=True)
    (folder / "data").write_text("data")
    value = json.dumps({"models": [{"uri": folder.as_uri(), "digest": seal(folder)}]})
    make = shell("main", "mkdir -p /tmp/out; echo made > /tmp/out/a; printf '%s' \"$VALUE\" > /tmp/out/v")
    make["container"]["env"] = [{"name": "VALUE", "value": value}]
    make["memoize"] = {"key": "the-key", "cache": {"configMap": {"name": "cache"}}}
    make["outputs"] = {
        "artifacts": [{"name": "a", "path": "/tmp/out/a"}],
        "parameters": [{"name": "v", "valueFrom": {"path": "/tmp/out/v"}}],
    }
    return workflow(make)


def entry(store: Store) -> Json:
    with Entries(store) as known:
        found = known.get("cache", "the-key")
    assert found is not None
    return found.argo()


def without_artifact(store: Store, tmp_path: Path) -> None:
    (artifact,) = entry(store)["outputs"]["artifacts"]
    store.bucket.delete(artifact["s3"]["key"])


def artifact_file_gone(store: Store, tmp_path: Path) -> None:
    for path in store.artifacts.folder.glob("sha256/*/*"):
        path.unlink()


def other_artifact_bytes(store: Store, tmp_path: Path) -> None:
    for path in store.artifacts.folder.glob("sha256/*/*"):
        path.chmod(0o644)
        path.write_bytes(b"other")


def reference_inside_json_changed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "sealed/data").write_text("else")


def earlier(store: Store, config: Json) -> None:
    """The cache as a version that kept ConfigMaps left it."""
    with Entries(store) as known:
        known.remove("cache", "the-key")
    (store.root / "configmaps").mkdir()
    (store.root / "configmaps/cache.json").write_text(json.dumps(config))


def no_label(store: Store, tmp_path: Path) -> None:
    earlier(store, {"kind": "ConfigMap", "metadata": {"name": "cache"}, "data": {"the-key": "{}"}})


def no_json(store: Store, tmp_path: Path) -> None:
    labels = {"workflows.argoproj.io/configmap-type": "Cache"}
    earlier(
        store,
        {"kind": "ConfigMap", "metadata": {"name": "cache", "labels": labels}, "data": {"the-key": "{"}},
    )


@pytest.mark.parametrize(
    "spoil",
    [
        without_artifact,
        artifact_file_gone,
        other_artifact_bytes,
        reference_inside_json_changed,
        no_label,
        no_json,
    ],
)
def test_who_lists_the_caches_says_what_the_engine_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Store, Path], None]
) -> None:
    flow, store, words = memoized(tmp_path), Store(tmp_path / "store"), ["--store", str(tmp_path / "store")]
    assert execute(tmp_path, flow).succeeded
    (good,) = entries(store)
    assert (good.entry.cache, good.entry.key, good.problem) == ("cache", "the-key", "")
    assert main(["cache", "explain", "the-key", *words]) == 0
    assert "good" in capsys.readouterr().out
    spoil(store, tmp_path)
    (bad,) = entries(store)
    assert bad.problem
    assert main(["cache", "ls", *words]) == 0
    assert bad.problem[:40] in capsys.readouterr().out
    assert main(["cache", "ls", "--json", *words]) == 0
    assert json.loads(capsys.readouterr().out)[0]["problem"] == bad.problem
    if spoil is not no_label:  # no entry has that key
        assert main(["cache", "explain", "the-key", *words]) == 0
        assert f"would not be used: {bad.problem}" in capsys.readouterr().out
    seen = Recorder()
    result = execute(tmp_path, flow, observer=seen)
    if spoil in (no_label, no_json):  # Argo ends the node in Error
        assert result.phase == "Error" and bad.problem in json.dumps(result.workflow, ensure_ascii=False)
    else:
        (checked,) = seen.of(CacheChecked)
        assert (checked.hit, checked.why) == (False, bad.problem)


def test_references_are_found_at_any_depth(tmp_path: Path) -> None:
    from tiphys.reference import references

    text = json.dumps({"a": [{"uri": "pvc://c/x", "digest": "sha256:1"}, "file:///y"]})
    assert list(references(text)) == [Reference("pvc://c/x", "sha256:1"), Reference("file:///y", "")]


def judge(tmp_path: Path, found: CachedResult, *, at: float, max_age: str | None = None) -> str:
    store = Store(tmp_path / "store")
    with Entries(store) as known:
        return Judge(store, known, clock=lambda: at).problem(found, max_age)


def test_age_counts_for_who_lists_and_for_who_asks(tmp_path: Path) -> None:
    made = CachedResult("cache", "k", node="n", created=1000.0, max_age="1h")
    assert judge(tmp_path, made, at=4600.0) == ""
    assert "older than the 1h that its step allows" in judge(tmp_path, made, at=4601.0)
    assert judge(tmp_path, made, at=4601.0, max_age="") == ""
    assert "10s" in judge(tmp_path, made, at=1011.0, max_age="10s")
    assert judge(tmp_path, made, at=4601.0, max_age="3d") == "", "the step that asks ends in Error"
    store = Store(tmp_path / "store")
    with Entries(store) as known:  # that it is read late makes no entry older
        assert not Judge(store, known, clock=lambda: 5000.0).problem(made, "10s", at=1010.0)


def test_an_entry_without_a_node_is_none(tmp_path: Path) -> None:
    """Argo takes no entry whose nodeID is empty."""
    assert "which node made it" in judge(tmp_path, CachedResult("cache", "k"), at=1.0)


def test_what_is_too_old_is_told_alike(tmp_path: Path) -> None:
    flow = memoized(tmp_path)
    flow["spec"]["templates"][0]["memoize"]["maxAge"] = "10m"
    store = Store(tmp_path / "store")
    assert execute(tmp_path, flow).succeeded
    (good,) = entries(store)
    assert (good.problem, good.entry.max_age) == ("", "10m")
    with Entries(store) as known:
        known.save(dataclasses.replace(good.entry, created=good.entry.created - 601))
    (old,) = entries(store)
    seen = Recorder()
    assert execute(tmp_path, flow, observer=seen).succeeded
    (checked,) = seen.of(CacheChecked)
    assert (checked.hit, checked.why) == (False, old.problem) and "10m" in old.problem


def test_a_pipe_in_the_place_of_a_manifest_is_not_waited_for(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    made = store.volume("c") / "made"
    made.mkdir()
    os.mkfifo(made / MANIFEST)
    assert held_by({"result": "pvc://c/made"}, store) == {}
