"""The index: what is asked of it, who follows it, and what a kill leaves."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.records.made import rows, run
from tiphys.errors import RefusedError
from tiphys.records.index import Index, UseRecord
from tiphys.records.record import ArtifactRecord
from tiphys.records.schema import FILE
from tiphys.store import Store


def test_where_things_came_from_and_went(tmp_path: Path) -> None:
    data, model = "pvc://v/datasets/d", "pvc://v/models/m"
    with Index(Store(tmp_path)) as index:
        index.put(
            [
                ("1", run("one-a", started=1000, makes=data)),
                ("1", run("two-a", started=2000, uses=data, makes=model)),
                ("1", run("two-b", started=3000, uses=data)),
            ]
        )
        made = UseRecord("one-a", "train", False, ArtifactRecord(data, "sha256:d", "model"))
        assert index.producers(data) == index.producers("sha256:d") == [made]
        assert [(use.key, use.artifact.name) for use in index.consumers(data)] == [
            ("two-b", "data"),
            ("two-a", "data"),
        ]
        assert [use.key for use in index.consumers(data, limit=1)] == ["two-b"]
        assert index.consumed(data) == 2
        assert index.producers("pvc://nothing") == []
        assert [each.uri for each in index.artifacts("pvc://v/*")] == [
            data,
            data,
            model,
        ]  # with a digest, and without
        assert [each.uri for each in index.artifacts("sha256:m")] == [model]
        assert [each.uri for each in index.artifacts(kind="models")] == [model]
        assert [each.uri for each in index.artifacts(model)] == [model]
        assert index.artifacts("pvc://v/datasets") == []
        index.remove(["two-a"])
        assert index.artifacts(kind="models") == []
        assert [use.key for use in index.consumers(data)] == ["two-b"]


def test_a_run_is_found_by_key_name_and_uid(tmp_path: Path) -> None:
    with Index(Store(tmp_path)) as index:
        index.put(
            [("1", run("prod/argo/u-1", started=5)), ("1", run("u-2", started=6)), ("1", run("v", started=7))]
        )
        assert index.record("u-1").key == index.record("uid-prod/argo/u-1").key == "prod/argo/u-1"
        assert index.find("u-") == ["u-2", "prod/argo/u-1"]
        assert index.find("") == ["v", "u-2", "prod/argo/u-1"]
        assert index.find("", limit=1) == ["v"]
        with pytest.raises(RefusedError) as caught:
            index.record("u-3")
        with pytest.raises(RefusedError) as half:
            index.record("\udce4")
        assert half.value.code == "TIP255"
        assert caught.value.code == "TIP211" and "u-2" in str(caught.value)


def test_what_is_the_same_has_not_changed(tmp_path: Path) -> None:
    with Index(Store(tmp_path)) as index:
        assert index.put([("1", run("a"))]) == 1
        before = index.last_change()
        assert index.put([("1", run("a"))]) == 0
        assert index.last_change() == before
        assert index.put([("2", run("a"))]) == 1
        assert [change.key for change in index.changes(before)] == ["a"]


def test_who_follows_is_told_of_what_is_gone_and_of_a_new_beginning(tmp_path: Path) -> None:
    with Index(Store(tmp_path)) as index:
        index.put([("1", run("a")), ("1", run("b"))])
        since = index.last_change()
        index.remove(["a", "never there"])
        assert [(each.key, each.kind) for each in index.changes(since)] == [("a", "gone")]
        index.put([("2", run("a"))])
        assert [(each.key, each.kind) for each in index.changes(since)] == [("a", "run")]
        index.empty()
        index.put([("1", run("b"))])
        assert [(each.key, each.kind) for each in index.changes(since)] == [("", "reset"), ("b", "run")]
        assert [each.kind for each in index.changes()] == ["run"]
    os.unlink(tmp_path / FILE)
    with Index(Store(tmp_path)) as index:
        assert [each.kind for each in index.changes(since)] == ["reset"]


def test_who_follows_many_writers_misses_nothing(tmp_path: Path) -> None:
    store, followed, since = Store(tmp_path), {}, 0
    with Index(store):
        pass

    def write(seed: int) -> None:
        chance = random.Random(seed)
        with Index(store) as index:
            for number in range(60):
                key = f"r-{chance.randrange(12)}"
                if chance.random() < 0.3:
                    index.remove([key])
                else:
                    index.put([(f"{seed}.{number}", run(key, phase=f"{seed}.{number}"))])

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(3)]
    for writer in writers:
        writer.start()
    with Index(store) as index:
        while True:
            alive = any(writer.is_alive() for writer in writers)
            for change in index.changes(since):
                assert change.number > since
                since = change.number
                if change.kind == "gone":
                    followed.pop(change.key, None)
                else:
                    with index.reading() as db:
                        found = db.execute("SELECT stamp FROM runs WHERE key=?", (change.key,)).fetchone()
                    followed[change.key] = found and found[0]
            if not alive:
                break
        assert followed == index.stamps()


CHILD = """
import os, signal, sys
from pathlib import Path
from tests.records.made import run
from tiphys.records.index import Index
from tiphys.store import Store

left = int(sys.argv[2])
def count(statement):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

with Index(Store(sys.argv[1])) as index:
    index._db.set_trace_callback(count)
    index.put([(f"2.{n}", run(f"r-{n}", phase="Failed", makes=f"pvc://v/models/{n % 3}")) for n in range(4)])
    index.remove(["r-0", "old"])
"""


def test_after_a_kill_at_any_write_the_rest_leads_to_the_same_rows(tmp_path: Path) -> None:
    def child(store: Path, at: int) -> int:
        return subprocess.run(
            [sys.executable, "-c", CHILD, str(store), str(at)],
            cwd=Path(__file__).parents[2],
            timeout=60,
            check=False,
        ).returncode

    def prepared(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        with Index(Store(folder)) as index:
            index.put([("1", run(key, uses="pvc://v/d/d")) for key in ("r-0", "r-1", "old")])
        return folder

    whole = prepared("whole")
    assert child(whole, -1) == 0
    kills = 0
    for at in (1, 2, 3, 9, 17, 33, 50, 71, 97):
        folder = prepared(f"at-{at}")
        kills += child(folder, at) == -signal.SIGKILL
        assert child(folder, -1) == 0
        assert rows(folder / FILE) == rows(whole / FILE)
    assert kills >= 8
