"""The index brought up to date with what is really there: runs that ended, go on, were moved, damaged or deleted."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tests.cluster.fakes import kubernetes, state
from tests.engine.harness import execute
from tests.records.made import rows
from tests.runs.local.test_listing import FLOW, damage, kill
from tiphys.errors import RefusedError
from tiphys.records.fold import fold
from tiphys.records.index import Index
from tiphys.records.points import points
from tiphys.records.rows import kept_points
from tiphys.records.schema import FILE
from tiphys.runs import Client, Request, Response
from tiphys.runs.records import answered, keep, sync
from tiphys.store import Store


def made(tmp_path: Path, *names: str) -> Store:
    for name in names:
        assert execute(tmp_path, FLOW, name=name).succeeded
    return Store(tmp_path / "store")


def test_runs_that_are_new_change_or_go(tmp_path: Path) -> None:
    store = made(tmp_path, "a", "b")
    with Index(store) as index:
        assert (sync(index), sync(index)) == (2, 0)
        with Client(store=store.root) as client:
            workflow = client.get("a").workflow
        made_anew = fold(workflow, points(store, workflow, "a"))
        (step,) = made_anew.steps
        kept = replace(step, points=tuple(kept_points(step.points)))
        assert index.record("a") == replace(made_anew, steps=(kept,))
        kill(store.run("b"))
        assert sync(index) == 1
        assert index.record("b").phase == "Running" and "killed" in index.record("b").message
        since = index.last_change()
        assert sync(index) == 0
        shutil.rmtree(store.run("a"))
        execute(tmp_path, FLOW, name="c")
        assert sync(index) == 2
        assert [(each.key, each.kind) for each in index.changes(since)] == [("c", "run"), ("a", "gone")]


def test_what_cannot_be_read_is_told_and_spoils_nothing_else(tmp_path: Path) -> None:
    store = made(tmp_path, "good", "bad", "odd")
    (store.run("bad") / "workflow.json").unlink()
    damage("garbage")(store.run("bad"))
    damage("garbage")(store.run("odd"))
    (store.run("odd") / "workflow.json").write_text(
        json.dumps({"metadata": {"name": "odd"}, "status": {"nodes": {"x": 7}}})
    )
    phases = answered(store, lambda index: {key: index.record(key).phase for key in ("good", "bad", "odd")})
    assert phases == {"good": "Succeeded", "bad": "Unreadable", "odd": "Unreadable"}


def test_what_was_kept_of_a_cluster_stays_and_is_read_again(tmp_path: Path) -> None:
    store = made(tmp_path, "a")
    workflow = json.loads((store.run("a") / "workflow.json").read_text())
    assert keep(store, "prod", workflow)
    assert not keep(store, "prod", workflow)
    key = f"prod/argo/{workflow['metadata']['uid']}"
    with Index(store) as index:
        assert sync(index) == 2
        assert index.record(key).source == "prod"
        assert index.record("a").source == "local"
        workflow["status"]["phase"] = "Failed"
        assert keep(store, "prod", workflow)
        assert (sync(index), index.record(key).phase) == (1, "Failed")
    path = next((store.root / "records").glob("*/*/*"))
    path.write_bytes(gzip.compress(b"{")[:-9])
    assert answered(store, lambda index: index.record(key).phase) == "Unreadable"


def test_a_new_index_holds_what_the_old_one_did(tmp_path: Path) -> None:
    store = made(tmp_path, "a")
    with Index(store) as index:
        sync(index)
        made(tmp_path, "b", "c")
        sync(index)
        shutil.rmtree(store.run("b"))
        sync(index)
    before = rows(store.root / FILE)
    os.unlink(store.root / FILE)
    with Index(store) as index:
        sync(index)
    assert rows(store.root / FILE) == before


def test_a_damaged_index_is_made_anew_for_who_asks(tmp_path: Path) -> None:
    store = made(tmp_path, "a")
    answered(store, lambda index: index.find(""))
    path = store.root / FILE
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    assert answered(store, lambda index: index.record("a").phase) == "Succeeded"
    assert list(store.root.glob(f"{FILE}.damaged-*"))
    assert answered(Store(tmp_path / "none"), lambda index: index.find("")) == []
    assert not (tmp_path / "none").exists()


def test_python(tmp_path: Path) -> None:
    store = made(tmp_path, "a", "b")
    records = tiphys.Records(store.root)
    assert [run.key for run in records.list("labels.team == 'ml'", order_by="name")] == ["a", "b"]
    assert records.get("a").phase == "Succeeded"
    differing = {each.part for each in records.diff("a", "b") if not each.name.endswith("peak_memory")}
    assert differing <= {"times"}  # how long it took, and how much memory it was seen to have
    assert records.artifacts() == records.producers("x") == records.consumers("x") == []
    since = records.changes()[-1].number
    assert records.changes(since) == []
    assert (records.sync(), records.rebuild()) == (0, 2)
    assert [each.kind for each in records.changes(since)] == ["reset", "run", "run"]


class Cluster:
    """Workflows behind the API of Kubernetes."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.gets = 0

    def answer(self, request: Request) -> Response:
        name = request.path.rpartition("/workflows/")[2]
        if name == request.path:
            return Response.of({"metadata": {}, "items": list(self.there.values())})
        self.gets += 1
        if name not in self.there:
            return Response.of({"kind": "Status", "code": 404, "reason": "NotFound"}, 404)
        return Response.of(self.there[name])


def test_workflows_of_a_cluster_are_kept(tmp_path: Path) -> None:
    records, cluster = tiphys.Records(tmp_path / "store"), Cluster()
    (tmp_path / "store").mkdir()
    client, _ = kubernetes(cluster.answer)
    cluster.there["run"] = {**state("Running", 1), "kind": "Workflow"}
    source, count = records.sync_cluster(client, "prod")
    assert (source, count) == ("prod", 1)
    assert [(run.key, run.phase) for run in records.list("source == 'prod'")] == [("prod/team/u1", "Running")]
    assert records.sync_cluster(client, "prod") == ("prod", 0)
    cluster.there["run"] = {**state("Succeeded", 2, end=True), "kind": "Workflow"}
    assert records.sync_cluster(client, "prod") == ("prod", 1)
    assert cluster.gets == 2
    cluster.there.clear()
    assert records.sync_cluster(client, "prod") == ("prod", 0)
    assert records.rebuild() == 1
    assert records.get("run").phase == "Succeeded"
    with pytest.raises(RefusedError):
        records.sync_cluster(client, "local")
