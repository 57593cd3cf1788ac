"""The board of locks."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from tests.server.page.visits import visitor
from tiphys.argo.time import rfc3339
from tiphys.queue import Locks
from tiphys.store import Store

WAITS: Any = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "first"},
    "spec": {
        "entrypoint": "main",
        "templates": [
            {"name": "main", "steps": [[{"name": "gate", "template": "gate"}]]},
            {"name": "gate", "synchronization": {"mutexes": [{"name": "door"}]}, "suspend": {}},
        ],
    },
}


def test_nothing_is_locked(tmp_path: Path) -> None:
    with visitor(tmp_path) as client, contextlib.closing(Locks(Store(tmp_path).locks)):
        assert "Nothing is locked" in client.get("/ui/locks").text


def test_who_holds_a_lock_and_who_waits_and_since_when(tmp_path: Path) -> None:
    """Two real runs with the same mutex: the first has it while its gate waits for somebody."""
    with visitor(tmp_path) as client:
        client.desk.create(WAITS)
        try:
            _until(client, "/ui/locks", "first: gate")
            client.desk.create({**WAITS, "metadata": {"name": "second"}})
            _until(client, "/ui/locks", "second: gate")
            run = client.desk.board.get("second")
            assert run is not None
            (node,) = [each for each in run["status"]["nodes"].values() if each["displayName"] == "gate"]
            assert node["startedAt"] <= rfc3339(time.time())
            waits = _until(client, "/ui/runs/second", "place 1 of 1, for ")
            assert 'held by <a href="/ui/runs/first/steps/' in waits and ">first: gate</a> for " in waits
            board = client.get("/ui/locks").text
            held, _, waiting = board.partition("argo/Mutex/door")[2].partition("</td>")[2].partition("</td>")
            assert "first: gate" in held and "second: gate" not in held
            assert f'href="/ui/runs/second/steps/{node["id"]}"' in waiting and "for " in waiting
        finally:
            for name in ("first", "second"):
                if client.desk.board.get(name) is not None:
                    client.desk.runs.terminate("argo", name)
                    _until(client, f"/ui/runs/{name}", "Failed")


def _until(client: Any, path: str, words: str) -> str:
    until = time.monotonic() + 60
    while words not in (text := client.get(path).text):
        assert time.monotonic() < until, text
        time.sleep(0.1)
    return str(text)
