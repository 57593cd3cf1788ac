"""The Workflows of a store as one collection whose changes have numbers."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.runs import ended, laid_down
from tiphys.engine import RunOptions
from tiphys.runs.local.backend import LocalRuns
from tiphys.runs.local.listing import UNREADABLE, unreadable
from tiphys.server import board as board_module
from tiphys.server.board import Board, ExpiredError
from tiphys.store import Store


def _kinds(board: Board, since: int) -> list[tuple[str, str]]:
    return [(change.kind, change.name) for change in board.changes(since)]


def test_runs_appear_change_and_go(tmp_path: Path) -> None:
    store = tmp_path / "store"
    board = Board(Store(store))
    board.look()
    start = board.number
    assert board.briefs() == (start, [])

    laid_down(store, "a")
    board.look()
    made = board.number
    assert made > start
    assert _kinds(board, start) == [("ADDED", "a")]
    whole = board.get("a")
    assert whole is not None
    assert whole["metadata"]["resourceVersion"] == str(made)
    assert whole["metadata"]["namespace"] == "argo"

    shutil.rmtree(store / "runs" / "a")
    ended(store, "b", team="blue")
    board.look()
    assert _kinds(board, made) == [("DELETED", "a"), ("ADDED", "b")]
    assert board.get("a") is None
    (brief,) = board.briefs()[1]
    assert brief["metadata"]["labels"]["team"] == "blue"
    assert "nodes" not in brief["status"]
    seen = board.get("b")
    assert seen is not None
    assert {node["displayName"] for node in seen["status"]["nodes"].values()} == {"b", "a"}

    before = board.number
    board.look()
    assert board.number == before
    assert _kinds(board, before) == []


@pytest.mark.parametrize("archives", [True, False])
def test_what_has_ended_is_archived_as_labels_say(tmp_path: Path, archives: bool) -> None:
    """As on a cluster: where there is no archive, nothing says so."""
    ended(tmp_path, "over")
    laid_down(tmp_path, "waits")
    board = Board(Store(tmp_path))
    board.archives = lambda: archives
    board.look()
    status = "workflows.argoproj.io/workflow-archiving-status"
    told = {
        each["metadata"]["name"]: (each["metadata"].get("labels") or {}).get(status)
        for each in board.briefs()[1]
    }
    assert told == {"over": "Archived" if archives else None, "waits": None}


def test_a_run_that_goes_on_is_followed(tmp_path: Path) -> None:
    """What the journal tells later is seen, also when the run was first looked at before an engine had it."""
    store = tmp_path / "store"
    laid_down(store, "gate")
    board = Board(Store(store))
    board.look()
    runs = LocalRuns(RunOptions(store=store))
    goes_on = threading.Thread(target=runs.stop, args=("argo", "gate"))  # an engine begins it, and ends it
    goes_on.start()
    goes_on.join()
    before = board.number
    board.look()
    assert _kinds(board, before) == [("MODIFIED", "gate")]
    found = board.get("gate")
    assert found is not None
    assert found["status"]["phase"] == "Failed"


def test_numbers_of_an_earlier_server_are_too_old(tmp_path: Path) -> None:
    store = tmp_path / "store"
    laid_down(store, "a")
    first = Board(Store(store))
    first.look()
    second = Board(Store(store))
    second.look()
    assert second.number > first.number
    with pytest.raises(ExpiredError):
        list(second.changes(first.number))


def test_who_listens_is_told(tmp_path: Path) -> None:
    board = Board(Store(tmp_path / "store"))
    heard: list[int] = []
    unheard = board.hear(lambda: heard.append(board.number))
    laid_down(tmp_path / "store", "a")
    board.look()
    board.look()
    assert heard == [board.number]
    unheard()
    board.count()
    assert len(heard) == 1


def test_the_newest_is_the_one_that_came_last_also_within_a_second(tmp_path: Path) -> None:
    store = tmp_path / "store"
    board = Board(Store(store))
    board.look()
    assert board.newest() == ""
    for name in ("b", "c", "a"):
        laid_down(store, name)
        board.look()
        assert board.newest() == name


def test_all_are_told_of_a_change_with_the_same_object(tmp_path: Path) -> None:
    store = tmp_path / "store"
    board = Board(Store(store))
    board.look()
    since = board.number
    ended(store, "a")
    laid_down(store, "b")
    board.look()
    first, second = ([change.workflow for change in board.changes(since)] for _ in range(2))
    assert len(first) == 2
    assert all(one is two for one, two in zip(first, second, strict=True))


def test_of_many_that_have_ended_a_few_are_looked_at_in_each_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changes one of them behind the back of the server is seen in the end; what the server did to it, at once."""
    monkeypatch.setattr(board_module, "_AT_ONCE", 1)
    store = tmp_path / "store"
    for name in "abc":
        ended(store, name)
    board = Board(Store(store))
    board.look()
    before = board.number
    for name in "bc":
        file = store / "runs" / name / "workflow.json"
        file.write_text(file.read_text().replace('"Succeeded"', '"Failed"'))
    board.look("c")
    assert ("MODIFIED", "c") in _kinds(board, before)
    for _ in range(3):
        board.look()
    assert sorted(_kinds(board, before)) == [("MODIFIED", "b"), ("MODIFIED", "c")]
    found = board.get("b")
    assert found is not None
    assert found["status"]["phase"] == "Failed"


def test_a_run_that_makes_room_for_another_of_its_name_is_seen_at_once(tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = ended(store, "a")
    for name in "bcdefgh":
        ended(store, name)
    board = Board(Store(store))
    board.look()
    (store / "runs" / "a").rename(store / "runs" / "a.1")
    second = ended(store, "a")
    board.look()
    found, moved = board.get("a"), board.get("a.1")
    assert found is not None
    assert moved is not None
    assert found["metadata"]["uid"] == second["metadata"]["uid"] != first["metadata"]["uid"]
    assert moved["metadata"]["uid"] == first["metadata"]["uid"]


@settings(max_examples=25, deadline=None)
@given(
    moves=st.lists(
        st.tuples(st.sampled_from(["make", "delete", "follow"]), st.sampled_from("abc")),
        min_size=1,
        max_size=12,
    )
)
def test_a_follower_knows_what_a_list_tells(
    moves: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whenever it asks, with the last number that it was given, nothing is missed and nothing is told twice."""
    store = tmp_path_factory.mktemp("board") / "store"
    board = Board(Store(store))
    board.look()
    since, known, numbers = board.number, dict[str, str](), set[int]()
    for move, name in [*moves, ("follow", "")]:
        folder = store / "runs" / name
        if move == "make" and not folder.exists():
            laid_down(store, name)
        elif move == "delete" and name and folder.exists():
            shutil.rmtree(folder)
        board.look()
        if move != "follow":
            continue
        for change in board.changes(since):
            assert change.number > since
            assert change.number not in numbers
            numbers.add(change.number)
            since = change.number
            if change.kind == "DELETED":
                known.pop(change.name, None)
            else:
                known[change.name] = change.workflow["metadata"]["uid"]
        assert known == {each["metadata"]["name"]: each["metadata"]["uid"] for each in board.briefs()[1]}


def test_a_run_that_could_not_be_read_for_a_moment_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when nobody writes it any more: it may wait for a lock, or for somebody."""
    name = laid_down(tmp_path, "waits")
    for path in Store(tmp_path).run(name).iterdir():
        os.utime(path, (time.time() - 1, time.time() - 1))  # no longer in the tick in which it was written
    found = Board(Store(tmp_path))
    real = board_module.read
    monkeypatch.setattr(board_module, "read", lambda *words: unreadable(name, 0.0, "locked"))
    found.look()
    assert _phase(found, name) == UNREADABLE
    monkeypatch.setattr(board_module, "read", real)
    found.look()
    assert _phase(found, name) != UNREADABLE
    found.close()


def _phase(board: Board, name: str) -> str:
    workflow = board.get(name)
    assert workflow is not None
    return str((workflow.get("status") or {}).get("phase"))
