"""Looking at the runs of a store: nothing is written, what can be read is shown, and what cannot is shown as such."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import execute, shell, workflow
from tiphys.engine import RunOptions, resume
from tiphys.engine.runtime.stored import Record
from tiphys.errors import RefusedError, StoreError, TiphysError
from tiphys.reuse.entries import Entries
from tiphys.runs import Client
from tiphys.runs.local.listing import UNREADABLE
from tiphys.store import Store

Json = Any
FLOW = workflow({"name": "main", "steps": [[{"name": "a", "template": "a"}]]}, shell("a", "echo hello"))
FLOW["metadata"]["labels"] = {"team": "ml"}


def store(tmp_path: Path, *names: str) -> Path:
    for name in names:
        assert execute(tmp_path, FLOW, name=name).succeeded
    return tmp_path / "store"


def kill(run: Path) -> None:
    """As if its engine had been killed before the end: the file of the end is not there, the log of the journal is."""
    (run / "workflow.json").unlink()
    copy = run.with_name("copy")
    db = sqlite3.connect(run / "journal.db", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("DELETE FROM events WHERE seq > 2")
    db.execute("INSERT INTO requests(kind, body) VALUES('Suspend', '{\"now\": 1.0}')")
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("bell"))
    db.close()
    shutil.rmtree(run)
    copy.rename(run)
    assert (run / "journal.db-wal").stat().st_size


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its time and size; the memory that readers of a journal share is none."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.suffix != ".db-shm"
    }


def look(place: Path, name: str) -> None:
    with Client(store=place) as client:
        client.list()
        client.list(brief=True)
        client.get(name)
        list(client.logs(name))


@pytest.mark.parametrize("shared", [True, False])
def test_looking_writes_nothing(tmp_path: Path, shared: bool) -> None:
    place = store(tmp_path, "ended", "killed")
    kill(place / "runs/killed")
    if not shared:
        (place / "runs/killed/journal.db-shm").unlink()
    before = state(place)
    look(place, "ended")
    look(place, "killed")
    with pytest.raises(RefusedError) as caught, Client(store=place) as client:
        list(client.watch("killed"))
    assert caught.value.code == "TIP217"
    assert state(place) == before
    assert (place / "runs/killed/journal.db-shm").exists() == shared


def test_looking_at_no_store_makes_none(tmp_path: Path) -> None:
    with Client(store=tmp_path / "none") as client:
        assert client.list() == [] == client.list(brief=True)
        with pytest.raises(TiphysError):
            client.get("r")
    assert not (tmp_path / "none").exists()


def rewrite(run: Path, statement: str) -> None:
    with sqlite3.connect(run / "journal.db") as db:
        assert db.execute(statement).rowcount
    db.close()


def damage(what: str) -> Callable[[Path], None]:
    def garbage(run: Path) -> None:
        (run / "journal.db").write_bytes(b"x" * 5000)

    def short(run: Path) -> None:
        (run / "journal.db").write_bytes((run / "journal.db").read_bytes()[:5000])

    return {
        "garbage": garbage,
        "short": short,
        "no JSON": lambda run: rewrite(run, "UPDATE facts SET value='{\"a\" 1}' WHERE name='context'"),
        "no fact": lambda run: rewrite(run, "DELETE FROM facts WHERE name='workflow'"),
        "a bit of a fact": lambda run: rewrite(
            run, "UPDATE facts SET value=replace(value, 'hello', 'jello')"
        ),
        "a bit of an event": lambda run: rewrite(
            run, "UPDATE events SET body=replace(body, 'Succeeded', 'Succeedef') WHERE kind='PodFinished'"
        ),
        "no event": lambda run: rewrite(run, "DELETE FROM events WHERE seq=2"),
        "unknown event": lambda run: rewrite(run, "UPDATE events SET kind='Nothing', sum=NULL WHERE seq=2"),
        "other fields": lambda run: rewrite(run, "UPDATE events SET body='{\"a\": 1}', sum=NULL WHERE seq=2"),
        "no list": lambda run: rewrite(run, "UPDATE facts SET value='7', sum=NULL WHERE name='workflow'"),
    }[what]


DAMAGES = (
    "garbage", "short", "no JSON", "no fact", "a bit of a fact", "a bit of an event", "no event", "unknown event",
    "other fields", "no list",
)  # fmt: skip


@pytest.mark.parametrize("what", DAMAGES)
def test_one_damaged_run_spoils_nothing_else(tmp_path: Path, what: str) -> None:
    place = store(tmp_path, "well", "bad")
    (place / "runs/bad/workflow.json").unlink()
    damage(what)(place / "runs/bad")
    with Client(store=place) as client:
        for brief in (False, True):
            shown = {run.name: (run.phase, run.message.partition(":")[0]) for run in client.list(brief=brief)}
            assert shown == {"well": ("Succeeded", ""), "bad": (UNREADABLE, "TIP451")}
        with pytest.raises(StoreError) as caught:
            client.get("bad")
        assert caught.value.code == "TIP451"
        assert [line.text for line in client.logs("bad")] == ["hello"]
    with pytest.raises(StoreError) as caught:
        resume("bad", options=RunOptions(store=place, images={"tiphys/*": "host"}, handle_signals=False))
    assert caught.value.code == "TIP451"


@pytest.mark.parametrize("what", ["garbage", "no JSON"])
def test_what_was_written_at_the_end_is_shown_when_the_journal_is_damaged(tmp_path: Path, what: str) -> None:
    place = store(tmp_path, "bad")
    damage(what)(place / "runs/bad")
    with Client(store=place) as client:
        assert client.get("bad").succeeded
        assert [run.phase for run in client.list()] == ["Succeeded"]


@pytest.mark.parametrize("after", ['"phase": "Failed"', '"phase": "Succ'])
def test_a_file_of_the_end_that_has_changed_is_not_believed(tmp_path: Path, after: str) -> None:
    place = store(tmp_path, "r")
    path = place / "runs/r/workflow.json"
    text = path.read_text()
    path.write_text(text.replace('"phase": "Succeeded"', after))
    assert path.read_text() != text
    with Client(store=place) as client:
        assert client.get("r").phase == "Succeeded"
        assert [run.phase for run in client.list(brief=True)] == ["Succeeded"]


def test_a_short_list_says_what_a_long_one_does(tmp_path: Path) -> None:
    place = store(tmp_path, "one", "two", "three")
    kill(place / "runs/two")
    for again in range(2):
        with Client(store=place) as client:
            whole, short = client.list(), client.list(brief=True)
            assert [run.name for run in whole] == [run.name for run in short] == ["three", "two", "one"]
            for left, right in zip(whole, short, strict=True):
                for field in ("phase", "message", "progress", "started", "finished", "record"):
                    assert getattr(left, field) == getattr(right, field)
            assert [run.name for run in client.list(labels="team=ml", brief=True)] == ["three", "two", "one"]
            assert client.list(labels="team!=ml", brief=True) == []
            assert len(client.list(limit=2, brief=True)) == 2
            assert client.get("@latest").name == "three"
        if not again:  # without the file, and with one of which nothing is right
            (place / "ended.jsonl").write_bytes(b"\xff\x00 {\n00000000 []\n\n")


def test_ended_runs_are_listed_without_their_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = store(tmp_path, "one", "two")
    monkeypatch.setattr(Record, "__init__", lambda *_, **__: pytest.fail("a run was opened"))
    with Client(store=place) as client:
        assert [run.name for run in client.list(brief=True)] == ["two", "one"]


def old(run: Path) -> None:
    """A journal as 0.1 began with: no sums, and no version of its tables."""
    with sqlite3.connect(run / "journal.db") as db:
        for table, columns in (
            ("facts", "name TEXT PRIMARY KEY, value TEXT"),
            ("events", "seq INTEGER PRIMARY KEY, kind TEXT, body TEXT"),
            ("objects", "kind TEXT, name TEXT, body TEXT, PRIMARY KEY(kind, name)"),
            ("requests", "seq INTEGER PRIMARY KEY, kind TEXT, body TEXT, answer TEXT"),
        ):
            names = ", ".join(part.split()[0] for part in columns.partition(", PRIMARY")[0].split(", "))
            rows = db.execute(f"SELECT {names} FROM {table}").fetchall()
            db.execute(f"DROP TABLE {table}")
            db.execute(f"CREATE TABLE {table}({columns})")
            marks = ", ".join("?" * len(names.split(", ")))
            db.executemany(f"INSERT INTO {table}({names}) VALUES({marks})", rows)
        db.execute("PRAGMA user_version=0")
    db.close()


def test_a_journal_of_an_older_version_is_read_and_taken_over(tmp_path: Path) -> None:
    place = store(tmp_path, "r")
    run = place / "runs/r"
    (run / "workflow.json").unlink()
    old(run)
    before = state(place)
    with Client(store=place) as client:
        assert client.get("r").phase == "Succeeded"
    assert state(place) == before
    with Record(Store(place), "r") as record:  # who opens it to write takes it over
        assert record.machine().phase == "Succeeded"
    damage("no JSON")(run)
    with pytest.raises(StoreError), Record(Store(place), "r"):
        pass


def test_a_journal_of_a_later_version_is_refused(tmp_path: Path) -> None:
    place = store(tmp_path, "r")
    rewritten = sqlite3.connect(place / "runs/r/journal.db")
    rewritten.execute("PRAGMA user_version=99")
    rewritten.close()
    for reading in (True, False):
        with pytest.raises(RefusedError) as caught:
            Record(Store(place), "r", reading=reading)
        assert caught.value.code == "TIP213"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two runs, a cached result and an artifact."""
    place = tmp_path_factory.mktemp("made")
    cache = {"memoize": {"key": "k", "cache": {"configMap": {"name": "c"}}}}
    artifact = {"artifacts": [{"name": "a", "path": "/tmp/a", "archive": {"none": {}}}]}
    flow = workflow(shell("main", "echo hello; echo x > /tmp/a", outputs=artifact, **cache))
    for name in ("bad", "good"):
        assert execute(place, flow, name=name).succeeded
    return place / "store"


def put(place: Path, kind: str) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink()
    match kind:
        case "pipe":
            os.mkfifo(place)
        case "folder":
            place.mkdir()
        case "device":
            place.symlink_to("/dev/zero")
        case "loop":
            place.symlink_to(place.name)
        case _:
            place.symlink_to("nothing-there")


PLACES = ("workflow.json", "journal.db", "began", "bell", "logs/bad.log", "logs", "nodes", "")


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "loop", "dangling"])
@pytest.mark.parametrize(
    "place", [*(f"runs/bad/{each}".rstrip("/") for each in PLACES), "ended.jsonl", "cache.db", "artifacts"]
)
def test_what_is_no_file_spoils_nothing_else(made: Path, tmp_path: Path, place: str, kind: str) -> None:
    """A store may be somebody else's: nobody waits for a pipe in it, or reads a device."""
    there = tmp_path / "store"
    shutil.copytree(made, there, ignore=shutil.ignore_patterns("bell"))
    if not os.path.lexists(there / place):
        (there / place).touch()
    put(there / place, kind)

    def late(*_: object) -> None:
        pytest.fail("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    try:
        with Client(store=there) as client:
            names = [each.name for each in client.list()]
            assert "good" in names
            for verb in (
                client.get,
                lambda name: list(client.logs(name)),
                lambda name: list(client.watch(name)),
            ):
                verb("good")
                with contextlib.suppress(TiphysError):
                    verb("bad")
            if place != "runs/bad" and place != "runs/bad/journal.db":
                assert "bad" in names
                assert client.get("bad").phase == "Succeeded"
        with contextlib.suppress(TiphysError):
            Entries(Store(there)).names()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
