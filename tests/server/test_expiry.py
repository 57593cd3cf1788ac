"""What is deleted because its time is over: by Argo's rules."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import execute, shell, workflow
from tiphys.engine import RunOptions
from tiphys.engine.runtime.retry import prepare_retry
from tiphys.server.controller import CONTROLLER
from tiphys.server.desk import Desk
from tiphys.server.expiry import Expiry, expired, surplus_runs

END = 1767225600.0  # 2026-01-01T00:00:00Z


def brief(phase: str, ttl: dict[str, int], name: str = "a", created: str = "") -> Any:
    return {
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {"ttlStrategy": ttl} if ttl else {},
        "status": {"phase": phase, "finishedAt": "2026-01-01T00:00:00Z" if phase != "Running" else None},
    }


@pytest.mark.parametrize(  # the cases of Argo's gc_controller_test.go
    ("phase", "ttl", "after"),
    [
        ("Succeeded", {"secondsAfterCompletion": 10}, 10),
        ("Succeeded", {"secondsAfterCompletion": 10, "secondsAfterSuccess": 3}, 3),
        ("Succeeded", {"secondsAfterFailure": 3}, None),
        ("Succeeded", {"secondsAfterSuccess": 0}, 0),
        ("Failed", {"secondsAfterFailure": 3}, 3),
        ("Error", {"secondsAfterFailure": 3, "secondsAfterCompletion": 1}, 3),
        ("Failed", {"secondsAfterSuccess": 3}, None),
        ("Failed", {"secondsAfterSuccess": 3, "secondsAfterCompletion": 7}, 7),
        ("Running", {"secondsAfterCompletion": 0}, None),
        ("Succeeded", {}, None),
    ],
)
def test_how_long_a_run_stays(phase: str, ttl: dict[str, int], after: int | None) -> None:
    given = brief(phase, ttl)
    assert expired(given, END + (10**6 if after is None else after)) is (after is not None)
    assert not expired(given, END + (after or 0) - 1)


def test_how_many_stay() -> None:
    runs = [brief("Failed", {}, f"f{day}", f"2026-01-0{day}T00:00:00Z") for day in (3, 1, 2)]
    runs += [brief("Succeeded", {}, "s"), brief("Running", {}, "r")]
    assert surplus_runs(runs, {"Failed": 1}) == ["f1", "f2"]
    assert surplus_runs(runs, {"Failed": 5, "Succeeded": 0}) == ["s"]
    assert surplus_runs(runs, {}) == []


def run(tmp_path: Path, name: str, ttl: dict[str, int] | None = None) -> None:
    given = workflow(shell("main", "true"), **({"ttlStrategy": ttl} if ttl else {}))
    execute(tmp_path, given, name=name)


def keep(desk: Desk, **data: str) -> None:
    desk.keep(desk.config_maps, {"kind": "ConfigMap", "metadata": {"name": CONTROLLER}, "data": data})  # type: ignore[typeddict-unknown-key]


def names(desk: Desk) -> set[str]:
    return {each["metadata"]["name"] for each in desk.board.briefs()[1]}


def test_what_is_over_goes_and_the_archive_keeps_it(tmp_path: Path) -> None:
    run(tmp_path, "stays")
    run(tmp_path, "later", {"secondsAfterCompletion": 3600})
    run(tmp_path, "goes", {"secondsAfterSuccess": 0})
    desk = Desk(RunOptions(store=tmp_path / "store", images={"*": "host"}))
    desk.board.look()
    expiry, now = Expiry(desk), time.time() + 2
    keep(desk, persistence="{archive: true, archiveTTL: 1h}")
    expiry.tick(now)
    assert names(desk) == {"stays", "later"}
    assert not (tmp_path / "store" / "runs" / "goes").exists()
    (kept,) = desk.archive.latest()
    assert kept["metadata"]["name"] == "goes"
    whole: Any = desk.archive.get(name="goes")
    assert whole["status"]["phase"] == "Succeeded" and whole["status"]["nodes"]
    expiry.tick(now + 3600)
    assert names(desk) == {"stays"}
    expiry.tick(now + 7300)
    assert desk.archive.latest() == []
    desk.archive.close()


def test_of_many_the_newest_stay_and_without_an_archive_nothing_is_kept(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        run(tmp_path, name)
    desk = Desk(RunOptions(store=tmp_path / "store", images={"*": "host"}))
    desk.board.look()
    Expiry(desk).tick(time.time())
    assert names(desk) == {"a", "b", "c"}
    keep(desk, retentionPolicy="completed: 2")
    Expiry(desk).tick(time.time())
    assert len(names(desk)) == 2 and desk.archive.latest() == []


def test_what_somebody_has_begun_again_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path, "again", {"secondsAfterCompletion": 0})
    options = RunOptions(store=tmp_path / "store", images={"*": "host"})
    desk = Desk(options)
    desk.board.look()
    keep(desk, persistence="archive: true")
    # between what the board has seen and now: the run is made ready, and its engine is on its way
    prepare_retry("again", options=options, restart_successful=True, selector="templateName=main").lay_down()
    with caplog.at_level("INFO", "tiphys.server"):
        Expiry(desk).tick(time.time() + 10)
    assert "TIP216" in caplog.text
    assert (tmp_path / "store" / "runs" / "again" / "journal.db").exists()
    assert desk.archive.latest() == []
    desk.archive.close()
