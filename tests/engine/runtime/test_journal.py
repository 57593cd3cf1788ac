"""The journal: what goes in comes out, and any prefix of it can be resumed from."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.engine.harness import dag, execute, out, shell, workflow
from tiphys.engine import RunOptions, resume
from tiphys.engine.machine import protocol as p
from tiphys.engine.pods.pod import StepPod
from tiphys.engine.runtime.journal import Journal, decode, encode


@pytest.mark.parametrize(
    "event",
    [
        p.Begin(1.5),
        p.PodRunning(2.0, "n", "127.22.0.1"),
        p.PodProgress(2.0, "n", "1/2"),
        p.PodSays(2.0, "n", "2 of 1-4 workers"),
        p.PodFinished(
            3.0, "n", "Failed", "ünïcode \n\"'", {"parameters": [{"name": "x", "value": "{{=1}}"}]}, {"a": {}}
        ),
        p.CacheAnswer(1.0, "n", {"nodeID": "n", "outputs": None}),
        p.CacheAnswer(1.0, "n"),
        p.LocksWaiting(1.0, "", "Waiting", "l"),
        p.TimerFired(1.0, "t"),
        p.Shutdown(1.0, "Stop"),
        p.NodeSet(1.0, "name=x", "Succeeded", "m", {"a": "b"}),
    ],
    ids=lambda event: type(event).__name__,
)
def test_events_come_back_as_they_were(event: p.Event) -> None:
    assert decode(*encode(event)) == event


def test_only_what_was_committed_is_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.append(p.Begin(1.0))
    journal.commit()
    journal.append(p.TimerFired(2.0, "t"))
    journal.close()
    assert list(Journal(tmp_path / "journal.db").events()) == [p.Begin(1.0)]


def test_a_power_cut_takes_the_last_events_alone(tmp_path: Path) -> None:
    """Whatever had reached the disk of what was not waited for: the events up to one of them are there, and whole."""
    journal = Journal(tmp_path / "journal.db")
    journal.write_facts({"name": "a"})
    told = [p.TimerFired(float(number), "t" * 500) for number in range(40)]
    for event in told:
        journal.append(event)
        journal.commit(wait=False)
    log = (tmp_path / "journal.db-wal").read_bytes()
    lengths = set()
    for size in (*range(0, len(log), 1536), len(log)):  # in the midst of a page, and at its ends
        after = tmp_path / str(size)
        after.mkdir()
        shutil.copy(tmp_path / "journal.db", after)
        (after / "journal.db-wal").write_bytes(log[:size])
        with contextlib.closing(Journal(after / "journal.db")) as found:
            events = list(found.events())
        assert events == told[: len(events)]
        lengths.add(len(events))
    assert {0, len(told)} < lengths
    journal.close()


def test_the_disk_is_waited_for_once_and_when_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[str] = []
    wait = os.fdatasync
    monkeypatch.setattr(
        os, "fdatasync", lambda one: (waited.append(os.readlink(f"/proc/self/fd/{one}")), wait(one))[1]
    )
    journal, log = Journal(tmp_path / "journal.db"), str(tmp_path / "journal.db-wal")
    journal.write_facts({"name": "a"})
    assert waited == [log]
    journal.append(p.Begin(1.0))
    journal.commit(wait=False)
    with contextlib.closing(Journal(tmp_path / "journal.db", reading=True)) as other:
        assert list(other.events()) == [p.Begin(1.0)], "a killed engine's events are there"
    assert waited == [log]
    journal.commit()
    journal.commit()
    assert waited == [log] * 2
    journal.request(p.Suspend(2.0))
    journal.append(p.TimerFired(2.0, "t"))
    journal.commit()
    assert waited == [log] * 4
    journal.close()


def test_commands_are_carried_out_before_the_disk_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next one not before."""
    order: list[str] = []
    real_wait, real_start = Journal._await_disk, StepPod.start
    monkeypatch.setattr(Journal, "_await_disk", lambda self: (order.append("disk"), real_wait(self))[1])
    monkeypatch.setattr(StepPod, "start", lambda self: (order.append("start"), real_start(self))[1])
    tasks = ({"name": "a", "template": "s"}, {"name": "b", "template": "s", "depends": "a"})
    result = execute(tmp_path, workflow(dag(*tasks), shell("s", "true")))
    assert result.succeeded
    starts = [number for number, each in enumerate(order) if each == "start"]
    assert len(starts) == 2 and all(order[number + 1] == "disk" for number in starts)


def test_a_reader_that_comes_before_the_tables_finds_nothing_and_then_all(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch(0o600)  # an engine makes it, and then its tables
    reader = Journal(path, reading=True)
    assert (reader.facts(), list(reader.events()), reader.last(), reader.objects()) == ({}, [], 0, [])
    writer = Journal(path)
    writer.write_facts({"name": "a"})
    writer.append(p.Begin(1.0))
    writer.commit()
    assert (reader.facts(), list(reader.events()), reader.last()) == ({"name": "a"}, [p.Begin(1.0)], 1)


def test_journal_is_for_its_owner_only(tmp_path: Path) -> None:
    Journal(tmp_path / "journal.db").close()
    assert (tmp_path / "journal.db").stat().st_mode & 0o077 == 0


def test_every_prefix_of_a_history_can_be_resumed(tmp_path: Path) -> None:
    """As if the engine had been killed after each event in turn: the run always ends well, with the same outputs."""
    count = 'echo x >> "$HERE/$NAME"; mkdir -p /tmp/out; echo "$NAME" > /tmp/out/x'

    def step(name: str, **more: object) -> dict[str, object]:
        template = shell(name, count, outputs=out("x"), **more)
        template["container"]["env"] = [
            {"name": "HERE", "value": str(tmp_path)},
            {"name": "NAME", "value": name},
        ]
        return template

    flow = workflow(
        dag(
            {"name": "a", "template": "a"},
            {"name": "b", "template": "b", "depends": "a"},
            {"name": "c", "template": "c", "depends": "a"},
            {
                "name": "d",
                "template": "a",
                "depends": "b && c",
                "when": "{{tasks.b.outputs.parameters.x}} == b",
            },
        ),
        step("a"),
        step("b", synchronization={"mutexes": [{"name": "m"}]}, retryStrategy={"limit": 1}),
        step("c", memoize={"key": "k", "cache": {"configMap": {"name": "cache"}}}),
    )
    result = execute(tmp_path, flow, name="whole")
    assert result.succeeded
    source = result.folder / "journal.db"
    events = list(Journal(source).events())
    for length in range(len(events)):
        name = "whole"
        (result.folder / "workflow.json").unlink()
        with sqlite3.connect(source) as db:
            db.execute("DELETE FROM events WHERE seq > ?", (length,))
        db.close()
        again = resume(name, options=RunOptions(store=tmp_path / "store"))
        assert again.succeeded, length
        nodes = {node["displayName"]: node for node in again.workflow["status"]["nodes"].values()}
        assert {key: node["phase"] for key, node in nodes.items()} == dict.fromkeys(nodes, "Succeeded")
        assert nodes["d"]["outputs"]["parameters"][0]["value"] == "a"
        before = list(Journal(source).events())
        assert before[:length] == events[:length]
        # go on from the same history
        with sqlite3.connect(source) as db:
            db.execute("DELETE FROM events")
            db.executemany("INSERT INTO events(kind, body) VALUES(?,?)", [encode(event) for event in events])
        db.close()
