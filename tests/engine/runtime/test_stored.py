"""The record of a run in the store."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.engine.harness import execute, workflow
from tiphys.engine.machine.protocol import Shutdown
from tiphys.engine.runtime.journal import Journal
from tiphys.engine.runtime.stored import Record
from tiphys.errors import RefusedError
from tiphys.store import Store

FLOW = workflow({"name": "main", "steps": []})


def test_a_run_that_is_there_is_found_without_looking_at_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lists a store opens each of its runs: that must not order all of them each time."""
    name = execute(tmp_path, FLOW).name
    monkeypatch.setattr(Store, "runs", lambda store: pytest.fail("all runs were looked at"))
    with Record(Store(tmp_path / "store"), name) as record:
        assert record.begun().name == name


@pytest.mark.parametrize("name", ["nne", "..", "", "a/b"])
def test_a_run_that_is_not_there(tmp_path: Path, name: str) -> None:
    made = execute(tmp_path, FLOW, name="one").name
    with pytest.raises(RefusedError) as caught:
        Record(Store(tmp_path / "store"), name)
    assert caught.value.code == "TIP211"
    assert made in f"{caught.value.message} {caught.value.cause}"
    assert [path.name for path in (tmp_path / "store/runs").iterdir()] == [made]


@pytest.mark.parametrize("left", ["nothing", "an event", "a log"])
def test_of_a_run_that_had_not_begun_nothing_is_kept(tmp_path: Path, left: str) -> None:
    """Its engine was killed right after it had written what the run is; with more, it is an earlier run."""
    folder = Store(tmp_path / "store").new_run("wf")
    (folder / "logs").mkdir(parents=True)
    with contextlib.closing(Journal(folder / "journal.db")) as journal:
        journal.write_facts({"name": "wf"})
        if left == "an event":
            journal.append(Shutdown(1.0, "Stop"))
            journal.append(Shutdown(2.0, "Stop"))
            journal.commit()
    if left == "a log":
        (folder / "logs" / "wf.log").touch()
    execute(tmp_path, FLOW, name="wf")
    assert (folder.parent / "wf.1").exists() == (left != "nothing")
