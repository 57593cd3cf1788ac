"""Which runs are open, and what is read of them."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tests.engine.harness import execute, out, shell, workflow
from tiphys.reuse.open_runs import open_runs
from tiphys.store import Store


def test_runs_without_a_record_and_those_that_somebody_holds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert (open_runs(store).names, open_runs(store).began) == ((), float("inf"))
    for number, name in enumerate(("done", "killed", "retried")):
        store.note_beginning(name, 100.0 + number)
    for name in ("done", "retried"):
        (store.run(name) / "workflow.json").write_text("{}")
    descriptor = os.open(store.run("retried"), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    found = open_runs(store)
    os.close(descriptor)
    assert (found.names, found.began) == (("killed", "retried"), 101.0)
    assert list(found.texts()) == []


def test_a_journal_names_what_a_step_returned(tmp_path: Path) -> None:
    step = shell("main", "mkdir -p /tmp/out; printf pvc://c/made > /tmp/out/x", outputs=out("x"))
    result = execute(tmp_path, workflow(step))
    store = Store(tmp_path / "store")
    (store.run(result.name) / "workflow.json").unlink()  # as a killed engine leaves it
    assert any('"value":"pvc://c/made"' in text for text in open_runs(store).texts())
