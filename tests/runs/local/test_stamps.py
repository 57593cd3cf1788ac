"""A run's stamp is another when the run has changed."""

from __future__ import annotations

from pathlib import Path

from tests.server.runs import ended, laid_down
from tiphys.engine import RunOptions
from tiphys.runs.local.backend import LocalRuns
from tiphys.runs.local.stamps import file_stamp, stamp, stamps
from tiphys.store import Store


def test_stamps_tell_what_changed(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert stamps(store) == {}
    ended(store.root, "a")
    laid_down(store.root, "b")
    first = stamps(store)
    assert (first["a"].ended, first["b"].ended) == (True, False)
    assert stamps(store) == first
    LocalRuns(RunOptions(store=store.root)).stop("argo", "b")
    second = stamps(store)
    assert second["a"] == first["a"]
    assert second["b"] == stamp(store, "b") != first["b"]
    assert second["b"].ended
    assert file_stamp(str(store.root / "none")) is None
