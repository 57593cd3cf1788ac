"""Workflows that are created run beside whoever took them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server.running import FAILS, HELLO
from tiphys.engine import RunOptions
from tiphys.errors import RefusedError
from tiphys.runs.local.backend import LocalRuns
from tiphys.server.submission import Submissions


def _ended(store: Path, name: str) -> Any:
    runs, until = LocalRuns(RunOptions(store=store)), time.monotonic() + 60
    while not (found := runs.get("argo", name))["status"].get("finishedAt"):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_one_is_there_at_once_and_runs(tmp_path: Path) -> None:
    store = tmp_path / "store"
    submissions = Submissions(RunOptions(store=store, images={"*": "host"}), set())
    name = submissions.create({**HELLO, "status": {"phase": "Failed"}}, [])
    assert (store / "runs" / name / "journal.db").is_file()
    assert name in submissions.beginning
    assert _ended(store, name)["status"]["phase"] == "Succeeded"
    assert name not in submissions.beginning
    (store / "before").mkdir()
    assert submissions.create(HELLO, [], dry=True) not in [path.name for path in (store / "runs").iterdir()]


def test_what_failed_is_retried(tmp_path: Path) -> None:
    store = tmp_path / "store"
    submissions = Submissions(RunOptions(store=store, images={"*": "host"}), set())
    name = submissions.create(FAILS, [])
    first = _ended(store, name)
    assert first["status"]["phase"] == "Failed"
    while submissions.beginning:
        time.sleep(0.02)
    submissions.retry(name, parameters={}, restart_successful=False, nodes="")
    second = _ended(store, name)
    kept, again = (
        {node["displayName"]: node for node in each["status"]["nodes"].values()} for each in (first, second)
    )
    assert again["a"]["finishedAt"] == kept["a"]["finishedAt"]


def test_what_cannot_run_here_is_refused_before_it_is_written(tmp_path: Path) -> None:
    submissions = Submissions(RunOptions(store=tmp_path / "store"), set())
    with pytest.raises(RefusedError):
        submissions.create(HELLO, [])  # no image is this machine's
    assert not (tmp_path / "store" / "runs").exists() or not list((tmp_path / "store" / "runs").iterdir())


def test_a_retry_that_is_refused_lets_go_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "store"
    submissions = Submissions(RunOptions(store=store, images={"*": "host"}), set())
    name = submissions.create(FAILS, [])
    _ended(store, name)
    while submissions.beginning or submissions.store.held(name):
        time.sleep(0.02)

    def refused(*_: object, **__: object) -> None:
        raise RefusedError("TIP220", "not here")

    monkeypatch.setattr("tiphys.engine.runtime.run.Execution", refused)
    with pytest.raises(RefusedError):
        submissions.retry(name, parameters={}, restart_successful=False, nodes="")
    assert not submissions.store.held(name)
    assert not submissions.beginning


PREPARED = """
import json
import sys
from pathlib import Path
from tiphys.engine import RunOptions
from tiphys.server.submission import Submissions
made = Submissions(RunOptions(store=Path(sys.argv[1])), set())
made.prepare().join()
before = set(sys.modules)
made.create(json.loads(sys.argv[2]), [], dry=True)
print(sorted(set(sys.modules) - before))
"""


def test_the_first_submission_imports_nothing_more(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PREPARED, tmp_path, json.dumps(HELLO)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
